/** portmap and host ports that another pod has. */
import { expect, test } from "bun:test";

import type { JsonObject } from "../../src/base/decode.ts";
import { outcome } from "../helpers/cni-network.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { podElements, ruleset } from "../helpers/nftables.ts";
import { peerDirectory } from "../helpers/peers.ts";
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

await describeWith(["root", "executable", "link:veth", "tool:nft"], "portmap", () => {
  test("a port of a pod that is there is refused with code 11 and its name, one of a pod that is gone is given away", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const one = await addDualPod(host);
    const two = await addDualPod(host);
    const args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-1";
    await host.add(portmapConfig(one.result, tcp), { pod: one.pod, args });
    const before = await podElements(host.netns);
    const both = [mapping(7070, 70), ...tcp];
    expect(await run(place, "ADD", two, portmapConfig(two.result, both))).toBe(
      `11 Cannot map host port 8080/tcp: it belongs to pod default/web-1, container ${one.pod.containerId},` +
        " interface eth0 of network cbr0, which is still there",
    );
    expect(await podElements(host.netns)).toEqual(before);
    // What it had before a refused ADD it still has.
    const own = portmapConfig(two.result, [mapping(7070, 70)]);
    expect(await run(place, "ADD", two, own)).toBe("ok");
    expect(await run(place, "ADD", two, portmapConfig(two.result, both))).toStartWith("11 ");
    expect(await run(place, "CHECK", two, own)).toBe("ok");
    // The runtime lost it: its namespace goes, and with that its device; nobody calls DEL.
    await host.netns.ip("link", "delete", String(findVeth(one.result)));
    expect(await run(place, "ADD", two, portmapConfig(two.result, both))).toBe("ok");
    expect((await podElements(host.netns)).join("\n")).not.toContain("10.244.1.2");
    // The late DEL of the first finds nothing of its own, and leaves the second alone.
    const held = await podElements(host.netns);
    expect(await run(place, "DEL", one, portmapConfig(one.result, tcp))).toBe("ok");
    expect(await podElements(host.netns)).toEqual(held);
    expect(await run(place, "CHECK", two, portmapConfig(two.result, both))).toBe("ok");
  });

  test("the refusal names the pod however long its name is, and nft reads the table back", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const one = await addDualPod(host);
    const two = await addDualPod(host);
    // Of a controller's pod, the longest there is; of one with a name of its own; and one that fits the comment.
    for (const [namespace, name] of [
      ["n".repeat(63), "p".repeat(63)],
      ["n".repeat(63), "p".repeat(253)],
      ["default", "web-1"],
    ] as const) {
      const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`;
      await host.add(portmapConfig(one.result, tcp), { pod: one.pod, args });
      const refusal = await run(place, "ADD", two, portmapConfig(two.result, tcp));
      const [, pod = ""] = /it belongs to pod (\S+), container /.exec(refusal) ?? [];
      expect(refusal).toContain(`, container ${one.pod.containerId}, interface eth0 of network cbr0, which is still`);
      if (name.length > 63) expect(`${namespace}/${name}`).toStartWith(pod);
      else expect(pod).toBe(`${namespace}/${name}`);
      expect(pod.length).toBeGreaterThan(namespace.length);
      const listed = await ruleset(host.netns);
      expect(listed).toContain(`comment "tartan cbr0 ${one.pod.containerId} eth0 veth`);
      await host.netns.run(["nft", "-f", "-"], { stdin: `flush ruleset\n${listed}` });
      expect(await run(place, "CHECK", one, portmapConfig(one.result, tcp))).toBe("ok");
    }
  });
});

await describeWith(
  ["root", "executable", "link:veth", "tool:nft", "tool:iptables", "peer:cni-plugins"],
  "portmap",
  () => {
    test.each(["iptables", "nftables"])(
      "a port that the reference's %s has led to a pod is refused with code 11, until that pod is deleted",
      async (backend) => {
        await using place = await createPortHost();
        const { host } = place;
        const one = await addDualPod(host);
        const two = await addDualPod(host);
        const theirs = [
          mapping(8080, 80),
          mapping(8081, 81, "udp", "192.0.2.1"),
          mapping(8082, 82, "sctp"),
          mapping(8083, 83, "tcp", "2001:db8::1"),
        ];
        const held = portmapConfig(one.result, theirs, { backend });
        await host.add(held, { pod: one.pod, plugins: peerDirectory("cni-plugins") });
        const before = await rulesOf(host.netns);
        const owner = `container ${one.pod.containerId}${backend === "iptables" ? " of network cbr0" : ""}`;
        const chain = backend === "iptables" ? "nat CNI-DN-" : "cni_hostport hostports";
        for (const [wanted, text, family] of [
          [mapping(8080, 99), "8080/tcp", "ip"],
          [mapping(8080, 99, "tcp", "::"), "8080/tcp", "ip6"],
          [mapping(8080, 99, "tcp", "192.0.2.9"), "192.0.2.9:8080/tcp", "ip"],
          [mapping(8081, 99, "udp"), "8081/udp", "ip"],
          [mapping(8082, 99, "sctp"), "8082/sctp", "ip"],
          [mapping(8083, 99), "8083/tcp", "ip6"],
        ] as const) {
          expect(await run(place, "ADD", two, portmapConfig(two.result, [mapping(7070, 70), wanted]))).toStartWith(
            `11 Cannot map host port ${text}: it belongs to ${owner}, for which the reference portmap has mapped it ` +
              `(chain ${family} ${chain}`,
          );
          expect(await rulesOf(host.netns)).toBe(before);
        }
        for (const free of [
          mapping(8080, 99, "udp"),
          mapping(8081, 99, "udp", "192.0.2.9"),
          mapping(8083, 99, "tcp", "0.0.0.0"),
          mapping(80, 99),
        ]) {
          const config = portmapConfig(two.result, [free]);
          expect(await run(place, "ADD", two, config)).toBe("ok");
          expect(await run(place, "DEL", two, config)).toBe("ok");
        }
        // The same pod's own are no other's; and when it is gone, so are they.
        expect(await run(place, "ADD", one, portmapConfig(one.result, theirs))).toBe("ok");
        expect(await run(place, "DEL", one, portmapConfig(one.result, theirs))).toBe("ok");
        expect(await run(place, "ADD", two, portmapConfig(two.result, theirs))).toBe("ok");
      },
    );
  },
);

/** The ruleset without what iptables' rules have counted: a packet of anybody's may pass at any time. */
async function rulesOf(netns: TestNetns): Promise<string> {
  return (await ruleset(netns)).replaceAll(/counter packets \d+ bytes \d+/g, "counter");
}

/** The host's end of the pod's pair. */
function findVeth(result: JsonObject): string | undefined {
  return /"name":"(veth[^"]+)"/.exec(JSON.stringify(result))?.[1];
}
