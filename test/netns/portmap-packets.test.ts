/** Host ports, by packets: who reaches the pod, and what address the pod sees. */
import { expect, test } from "bun:test";

import { askMirror, lastAnswer, startAsking, startMirror } from "../helpers/mirror.ts";
import {
  addDualPod,
  createPortHost,
  hostAddress,
  mapping,
  outsideAddress,
  portmapConfig,
} from "../helpers/port-host.ts";
import { collect, outcome } from "../helpers/cni-network.ts";
import { describeWith } from "../helpers/require.ts";
import { sendSctpInit } from "../helpers/sctp.ts";

const gateway = { 4: "10.244.1.1", 6: "fd00:10:244:1::1" } as const;

await describeWith(["root", "executable", "link:veth"], "portmap packets", () => {
  test("a host port is reached from everywhere, and the pod sees who called unless the answer would go astray", async () => {
    await using place = await createPortHost();
    await using mirrors = new AsyncDisposableStack();
    const { host, outside } = place;
    const { pod, result } = await addDualPod(host);
    const { pod: neighbour } = await addDualPod(host);
    await host.add(portmapConfig(result, [mapping(8080, 80)]), { pod });
    mirrors.use(await startMirror(pod.netns, "web", 80));
    for (const [from, address, seen] of [
      [outside, hostAddress[4], outsideAddress[4]],
      [outside, hostAddress[6], outsideAddress[6]],
      [host.netns, hostAddress[4], hostAddress[4]],
      [host.netns, hostAddress[6], hostAddress[6]],
      [host.netns, "127.0.0.1", gateway[4]],
      [pod.netns, hostAddress[4], gateway[4]],
      [pod.netns, hostAddress[6], gateway[6]],
      [pod.netns, gateway[4], gateway[4]],
      [neighbour.netns, hostAddress[4], gateway[4]],
      [neighbour.netns, hostAddress[6], gateway[6]],
    ] as const) {
      expect(`${address}: ${await askMirror(from, address, 8080)}`).toBe(`${address}: web ${seen}`);
    }
    // Another port, and that port of another host, are not the pod's.
    expect(await askMirror(outside, hostAddress[4], 8081)).toBe("");
    expect(await askMirror(pod.netns, outsideAddress[4], 8080)).toBe("");
    await host.delete(portmapConfig(result, []), { pod });
    expect(await askMirror(outside, hostAddress[4], 8080)).toBe("");
  });

  test("snat false shows the pod every caller, masqAll none, with whichever mark", async () => {
    await using place = await createPortHost();
    await using mirrors = new AsyncDisposableStack();
    const { host, outside } = place;
    const { pod, result } = await addDualPod(host);
    mirrors.use(await startMirror(pod.netns, "web", 80));
    for (const [members, seen] of [
      [{ snat: false }, outsideAddress],
      [{ masqAll: true }, gateway],
      [{ masqAll: true, markMasqBit: 0 }, gateway],
      [{ markMasqBit: 31 }, outsideAddress],
    ] as const) {
      await host.add(portmapConfig(result, [mapping(8080, 80)], members), { pod });
      expect(await askMirror(outside, hostAddress[4], 8080)).toBe(`web ${seen[4]}`);
      expect(await askMirror(outside, hostAddress[6], 8080)).toBe(`web ${seen[6]}`);
    }
    // With the bit that was configured last, too, the pod reaches itself.
    expect(await askMirror(pod.netns, hostAddress[4], 8080)).toBe(`web ${gateway[4]}`);
    expect(await askMirror(host.netns, "127.0.0.1", 8080)).toBe(`web ${gateway[4]}`);
  });

  test("a host port of one address is that address's alone, and wins over one of all addresses", async () => {
    await using place = await createPortHost();
    await using mirrors = new AsyncDisposableStack();
    const { host, outside } = place;
    await host.netns.ip("addr", "add", "192.0.2.10/24", "dev", "up0");
    const one = await addDualPod(host);
    const other = await addDualPod(host);
    mirrors.use(await startMirror(one.pod.netns, "one", 80));
    mirrors.use(await startMirror(other.pod.netns, "other", 80));
    await host.add(
      portmapConfig(one.result, [mapping(8080, 80, "tcp", "192.0.2.10"), mapping(8080, 80, "tcp", hostAddress[6])]),
      { pod: one.pod },
    );
    expect(await askMirror(outside, "192.0.2.10", 8080)).toBe(`one ${outsideAddress[4]}`);
    expect(await askMirror(outside, hostAddress[4], 8080)).toBe("");
    expect(await askMirror(outside, hostAddress[6], 8080)).toBe(`one ${outsideAddress[6]}`);
    await host.add(portmapConfig(other.result, [mapping(8080, 80, "tcp", "0.0.0.0")]), { pod: other.pod });
    expect(await askMirror(outside, "192.0.2.10", 8080)).toBe(`one ${outsideAddress[4]}`);
    expect(await askMirror(outside, hostAddress[4], 8080)).toBe(`other ${outsideAddress[4]}`);
    expect(await askMirror(one.pod.netns, "192.0.2.10", 8080)).toBe(`one ${gateway[4]}`);
    // 0.0.0.0 says IPv4, so that IPv6 has the one address only.
    expect(await askMirror(host.netns, "::1", 8080)).toBe("");
  });

  test("a UDP flow that goes on reaches the pod that has the port now", async () => {
    await using place = await createPortHost();
    await using mirrors = new AsyncDisposableStack();
    const { host, outside } = place;
    const first = await addDualPod(host);
    const second = await addDualPod(host);
    mirrors.use(await startMirror(first.pod.netns, "first", 53));
    mirrors.use(await startMirror(second.pod.netns, "second", 53));
    const ports = [mapping(5353, 53, "udp")];
    for (const address of [hostAddress[4], hostAddress[6]]) {
      await using asker = startAsking(outside, address, 5353);
      // It begins when nobody has the port: the host's own answer, none, must not be remembered.
      await Bun.sleep(200);
      await host.add(portmapConfig(first.result, ports), { pod: first.pod });
      await asker.waitUntil("the first pod answers", () => lastAnswer(asker).startsWith("first"), 5000);
      await host.delete(portmapConfig(first.result, []), { pod: first.pod });
      await host.add(portmapConfig(second.result, ports), { pod: second.pod });
      await asker.waitUntil("the second pod answers", () => lastAnswer(asker).startsWith("second"), 5000);
      await host.delete(portmapConfig(second.result, []), { pod: second.pod });
      const answers = asker.stdout.length;
      await Bun.sleep(300);
      expect(asker.stdout).toHaveLength(answers);
    }
  });

  test("a UDP flow ends when GC frees the port", async () => {
    await using place = await createPortHost();
    const { host, outside } = place;
    const { pod, result } = await addDualPod(host);
    await using mirrors = new AsyncDisposableStack();
    mirrors.use(await startMirror(pod.netns, "pod", 53));
    await host.add(portmapConfig(result, [mapping(5353, 53, "udp")]), { pod });
    await using asker = startAsking(outside, hostAddress[4], 5353);
    await asker.waitUntil("the pod answers", () => lastAnswer(asker).startsWith("pod"), 5000);
    expect(outcome(await collect(host, portmapConfig(result, []), []))).toBe("ok");
    await Bun.sleep(50);
    const answers = asker.stdout.length;
    await Bun.sleep(300);
    expect(asker.stdout).toHaveLength(answers);
  });

  test("an SCTP association's first packet reaches the pod", async () => {
    await using place = await createPortHost();
    const { host, outside } = place;
    const { pod, result } = await addDualPod(host);
    await host.add(portmapConfig(result, [mapping(9999, 99, "sctp")]), { pod });
    expect(await sendSctpInit(outside, hostAddress[4], 9999, pod.netns)).toBe(`${outsideAddress[4]} > 10.244.1.2.99`);
  });

  test("127.0.0.1 of the host stays out of the pods' reach", async () => {
    await using place = await createPortHost();
    await using mirrors = new AsyncDisposableStack();
    const { host } = place;
    const { pod, result } = await addDualPod(host);
    mirrors.use(await startMirror(host.netns, "host", 7000));
    await host.add(portmapConfig(result, [mapping(8080, 80)]), { pod });
    expect((await host.netns.run(["sysctl", "-n", "net.ipv4.conf.cni0.route_localnet"])).stdout.trim()).toBe("1");
    await pod.netns.ip("route", "add", "127.0.0.0/8", "via", gateway[4], "dev", "eth0", "table", "100");
    await pod.netns.ip("rule", "add", "to", "127.0.0.2", "lookup", "100", "pref", "0");
    await pod.netns.run(["sysctl", "-w", "net.ipv4.conf.all.route_localnet=1"]);
    await pod.netns.run(["sysctl", "-w", "net.ipv4.conf.eth0.route_localnet=1"]);
    expect(await askMirror(pod.netns, gateway[4], 7000)).toBe("host 10.244.1.2");
    expect(await askMirror(pod.netns, "127.0.0.2", 7000)).toBe("");
    await host.netns.run(["nft", "flush", "chain", "inet", "tartan", "guard"]);
    expect(await askMirror(pod.netns, "127.0.0.2", 7000)).toBe("host 10.244.1.2");
  });
});
