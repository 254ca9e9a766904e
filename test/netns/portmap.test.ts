/** portmap by itself: what it keeps in nf_tables, whose it is, and what becomes of it. */
import { expect, test } from "bun:test";

import type { JsonObject } from "../../src/base/decode.ts";
import { collect, outcome } from "../helpers/cni-network.ts";
import { podElements, ruleset } from "../helpers/nftables.ts";
import {
  type AddedPod,
  addDualPod,
  createPortHost,
  mapping,
  type PortHost,
  portmapConfig,
} from "../helpers/port-host.ts";
import { describeWith } from "../helpers/require.ts";

async function run(place: PortHost, command: string, { pod }: AddedPod, config: JsonObject): Promise<string> {
  return outcome(await place.host.call(command, config, { pod })).replace(/^ok[^]*/, "ok");
}

const tcp = [mapping(8080, 80)];
const forOne = [
  "inet hostport_pods",
  "inet hostport_pods",
  "inet ports4",
  "inet ports6",
  "inet snat13_ports4",
  "inet snat13_ports4",
  "inet snat13_ports6",
];

async function setsInUse({ host }: PortHost): Promise<readonly string[]> {
  return (await podElements(host.netns)).map((line) => line.replace(/:.*/s, ""));
}

await describeWith(["root", "executable", "link:veth", "tool:nft"], "portmap", () => {
  test("ADD makes the elements of each mapping and says whose they are, and again the same; DEL needs no more than the name", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const one = await addDualPod(host);
    const { pod, result } = one;
    const args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-1";
    const reply = await host.add(portmapConfig(result, tcp), { pod, args });
    expect(reply.result).toMatchObject({ ips: result["ips"] ?? [] });
    expect(await setsInUse(place)).toEqual(forOne);
    const text = await ruleset(host.netns);
    expect(text).toMatch(
      new RegExp(`tcp \\. 8080 comment "tartan cbr0 ${pod.containerId} eth0 veth\\S+ default/web-1" : 10`),
    );
    await host.add(portmapConfig(result, tcp), { pod, args });
    expect(await setsInUse(place)).toEqual(forOne);
    expect(await ruleset(host.netns)).toBe(text);
    // Another ADD of the same attachment says what it has now.
    await host.add(portmapConfig(result, [mapping(9090, 90, "udp", "192.0.2.1")]), { pod });
    const changed = await podElements(host.netns);
    expect(changed.filter((line) => line.includes("8080"))).toEqual([]);
    expect(changed).toContain("inet addresses4: 192.0.2.1 . udp . 9090 : 10.244.1.2 . 90");
    await pod.netns.remove();
    await host.delete({ cniVersion: "0.3.1", name: "cbr0", type: "portmap" }, { pod, netns: "" });
    expect(await podElements(host.netns)).toEqual([]);
    await host.delete({ cniVersion: "0.3.1", name: "cbr0", type: "portmap" }, { pod, netns: "" });
  });

  test("the same number of another protocol, address or family is another port", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const pods = [await addDualPod(host), await addDualPod(host), await addDualPod(host), await addDualPod(host)];
    const lists = [
      [mapping(8080, 80, "tcp", "0.0.0.0")],
      [mapping(8080, 80, "UDP")],
      [mapping(8080, 80, "tcp", "::"), mapping(8080, 80, "sctp")],
      [mapping(8080, 80, "tcp", "127.0.0.1")],
    ];
    for (const [index, pod] of pods.entries()) {
      expect(await run(place, "ADD", pod, portmapConfig(pod.result, lists[index] ?? []))).toBe("ok");
    }
    for (const [index, pod] of pods.entries()) {
      expect(await run(place, "CHECK", pod, portmapConfig(pod.result, lists[index] ?? []))).toBe("ok");
    }
  });

  test("CHECK names what is missing or wrong, and ADD puts it right", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const one = await addDualPod(host);
    const config = portmapConfig(one.result, tcp);
    expect(await run(place, "CHECK", one, config)).toBe(
      "999 host port 8080/tcp is missing in set ports4 of table tartan",
    );
    for (const [damage, words] of [
      [
        ["delete", "element", "inet", "tartan", "ports6", "{ tcp . 8080 }"],
        "host port 8080/tcp is missing in set ports6",
      ],
      [
        ["delete", "element", "inet", "tartan", "snat13_ports4", '{ "lo" . tcp . 8080 }'],
        "host port 8080/tcp is missing",
      ],
      [["flush", "chain", "inet", "tartan", "hostports4"], "chain hostports4 of table inet tartan with other rules"],
      [["flush", "table", "inet", "tartan"], "chain hostports4 of table inet tartan with other rules"],
      [["delete", "table", "inet", "tartan"], "host port 8080/tcp is missing in set ports4"],
      [["flush", "ruleset"], "host port 8080/tcp is missing in set ports4"],
    ] as const) {
      expect(await run(place, "ADD", one, config)).toBe("ok");
      expect(await run(place, "CHECK", one, config)).toBe("ok");
      await host.netns.run(["nft", ...damage]);
      expect(await run(place, "CHECK", one, config)).toStartWith(`999 ${words}`);
    }
    expect(await run(place, "ADD", one, config)).toBe("ok");
    await host.netns.run(["sysctl", "-qw", "net.ipv4.conf.cni0.route_localnet=0"]);
    expect(await run(place, "CHECK", one, config)).toContain("route_localnet is not 1");
  });

  test("DEL removes what is left when others have removed a part of it", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const one = await addDualPod(host);
    const config = portmapConfig(one.result, [...tcp, mapping(53, 53, "udp")]);
    for (const damage of [
      ["flush", "map", "inet", "tartan", "ports4"],
      ["delete", "element", "inet", "tartan", "snat13_ports6", '{ "cni0" . tcp . 8080 }'],
      ["delete", "table", "inet", "tartan"],
    ]) {
      expect(await run(place, "ADD", one, config)).toBe("ok");
      await host.netns.run(["nft", ...damage]);
      expect(await run(place, "DEL", one, config)).toBe("ok");
      expect(await podElements(host.netns)).toEqual([]);
    }
  });

  test("GC frees the ports of attachments that are not valid any more, of its own network alone", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const kept = await addDualPod(host);
    const stale = await addDualPod(host);
    const other = await addDualPod(host);
    await host.add(portmapConfig(kept.result, tcp), { pod: kept.pod });
    await host.add(portmapConfig(stale.result, [mapping(9090, 90), mapping(53, 53, "udp")]), { pod: stale.pod });
    await host.add(portmapConfig(other.result, [mapping(7070, 70)], { name: "other" }), { pod: other.pod });
    expect(outcome(await collect(host, portmapConfig(kept.result, []), [kept.pod]))).toBe("ok");
    const left = (await podElements(host.netns)).join("\n");
    expect([/ 8080/.test(left), / 9090| 53/.test(left), / 7070/.test(left)]).toEqual([true, false, true]);
    expect(await run(place, "CHECK", kept, portmapConfig(kept.result, tcp))).toBe("ok");
    expect(await run(place, "ADD", stale, portmapConfig(stale.result, [mapping(9090, 90)]))).toBe("ok");
  });

  test("GC tells a network's ports also when its name is too long for a comment", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const [kept, stale] = [await addDualPod(host), await addDualPod(host)];
    const name = "n".repeat(60);
    await host.add(portmapConfig(kept.result, tcp, { name }), { pod: kept.pod });
    await host.add(portmapConfig(stale.result, [mapping(9090, 90)], { name }), { pod: stale.pod });
    expect(outcome(await collect(host, portmapConfig(kept.result, [], { name: `${name}n` }), []))).toBe("ok");
    expect(outcome(await collect(host, portmapConfig(kept.result, [], { name }), [kept.pod]))).toBe("ok");
    const left = (await podElements(host.netns)).join("\n");
    expect([/ 8080/.test(left), / 9090/.test(left)]).toEqual([true, false]);
    await host.delete(portmapConfig(kept.result, [], { name }), { pod: kept.pod });
    expect(await podElements(host.netns)).toEqual([]);
  });

  test("fused in flannel the ports are checked, freed by GC, refused before there is a pod, and taken back with it", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const kept = await host.addPod();
    const stale = await host.addPod();
    function config(port: number, members: JsonObject = {}): JsonObject {
      const runtimeConfig = { portMappings: [mapping(port, 80)] };
      return host.flannelConfig({ cniVersion: "1.1.0", runtimeConfig, ...members });
    }
    const { result = {} } = await host.add(config(8080), { pod: kept });
    await host.add(config(9090), { pod: stale });
    const check = { ...config(8080), prevResult: result };
    expect(outcome(await host.call("CHECK", check, { pod: kept }))).toBe("ok");
    expect(outcome(await collect(host, config(8080), [kept]))).toBe("ok");
    expect((await podElements(host.netns)).filter((line) => line.includes("9090"))).toEqual([]);
    expect(outcome(await host.call("CHECK", check, { pod: kept }))).toBe("ok");
    await host.netns.run(["nft", "flush", "map", "inet", "tartan", "ports4"]);
    expect(outcome(await host.call("CHECK", check, { pod: kept }))).toStartWith("999 host port 8080/tcp is missing");
    await host.add(portmapConfig(result, tcp), { pod: kept });
    const before = await host.leftovers();
    const next = await host.addPod();
    for (const [wrong, words] of [
      [config(8080), "11 Cannot map host port 8080/tcp"],
      [config(70_000), "7 failed to parse config: Invalid host port number: 70000"],
      [config(7070, { conditionsV4: ["ip", "saddr", "10.0.0.0/8"] }), '2 unsupported field "conditionsV4"'],
    ] as const) {
      expect(outcome(await host.call("ADD", wrong, { pod: next }))).toStartWith(words);
      expect((await host.leftovers()).filter((line) => !/last_reserved|^nft/.test(line))).toEqual(
        before.filter((line) => !/last_reserved|^nft/.test(line)),
      );
    }
  });

  test("nft shows the tables in its own words, and takes them back as it shows them", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const one = await addDualPod(host, { ipMasq: true, macspoofchk: true });
    const two = await addDualPod(host);
    const list = [mapping(8080, 80), mapping(53, 53, "udp", "192.0.2.1"), mapping(99, 99, "sctp", "2001:db8::1")];
    await host.add(portmapConfig(one.result, list), { pod: one.pod });
    await host.add(portmapConfig(two.result, [mapping(7070, 70)], { masqAll: true, markMasqBit: 14 }), {
      pod: two.pod,
    });
    const shown = await ruleset(host.netns);
    for (const line of [
      "ip saddr 127.0.0.0/8 oifname . ip daddr . meta l4proto . th dport @snat13_addresses4 meta mark set meta mark | 0x00002000",
      "meta nfproto ipv4 meta l4proto . th dport @masq14_ports4 meta mark set meta mark | 0x00004000",
      "dnat ip6 to ip6 daddr . meta l4proto . th dport map @addresses6",
      "meta nfproto ipv6 fib daddr type local jump hostports6",
      "meta mark & 0x00004000 == 0x00004000 ct status dnat masquerade",
      'ip daddr 127.0.0.0/8 iifname != "lo" drop',
      "ip saddr @masquerade_10.244.1.0/24 ip daddr != 10.244.1.0/24 ip daddr != 224.0.0.0/4 masquerade",
      "iifname @guarded iifname . ether saddr != @allowed drop",
    ]) {
      expect(shown).toContain(line);
    }
    expect(shown).not.toContain("@nh");
    await host.netns.run(["nft", "flush", "ruleset"]);
    await host.netns.run(["nft", "-f", "-"], { stdin: shown });
    expect((await ruleset(host.netns)).split("\n").toSorted()).toEqual(shown.split("\n").toSorted());
    expect(await run(place, "CHECK", one, portmapConfig(one.result, list))).toBe("ok");
  });

  test("16 at once, the table not yet made, and 16 for one port: each has its own, one has the port", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const pods: AddedPod[] = [];
    for (let count = 0; count < 16; count++) pods.push(await addDualPod(host));
    const added = pods.map((pod, index) =>
      run(place, "ADD", pod, portmapConfig(pod.result, [mapping(9000 + index, 80)])),
    );
    expect(new Set(await Promise.all(added))).toEqual(new Set(["ok"]));
    expect(await podElements(host.netns)).toHaveLength(16 * forOne.length);
    const checked = pods.map((pod, index) =>
      run(place, "CHECK", pod, portmapConfig(pod.result, [mapping(9000 + index, 80)])),
    );
    expect(new Set(await Promise.all(checked))).toEqual(new Set(["ok"]));
    const fought = await Promise.all(pods.map((pod) => run(place, "ADD", pod, portmapConfig(pod.result, tcp))));
    expect(fought.filter((line) => line === "ok")).toHaveLength(1);
    expect(fought.filter((line) => line.startsWith("11 "))).toHaveLength(15);
    const deleted = await Promise.all(pods.map((pod) => run(place, "DEL", pod, portmapConfig(pod.result, []))));
    expect(new Set(deleted)).toEqual(new Set(["ok"]));
    expect(await podElements(host.netns)).toEqual([]);
  });
});
