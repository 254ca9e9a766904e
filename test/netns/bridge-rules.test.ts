/** The bridge plugin's `ipMasq` and `macspoofchk`, by packets and by what is kept of them. */
import { expect, test } from "bun:test";

import { collect, outcome } from "../helpers/cni-network.ts";
import { askMirror, startMirror } from "../helpers/mirror.ts";
import { podElements } from "../helpers/nftables.ts";
import { addDualPod, createPortHost, hostAddress, outsideAddress, type PortHost } from "../helpers/port-host.ts";
import { describeWith } from "../helpers/require.ts";

const podNetwork = { 4: "10.244.1.", 6: "fd00:10:244:1::" } as const;

/** The pods' neighbours can be reached only through the host: it forwards, and knows the pods. */
async function pingWorks(place: PortHost, pod: Awaited<ReturnType<typeof addDualPod>>["pod"]): Promise<boolean> {
  const { exitCode } = await pod.netns.run(["ping", "-c", "1", "-w", "2", "10.244.1.1"], { exitCode: "any" });
  await place.host.netns.run(["true"]);
  return exitCode === 0;
}

await describeWith(["root", "executable", "link:veth", "tool:nft"], "bridge rules", () => {
  for (const ipMasqBackend of ["iptables", "nftables", undefined]) {
    test(`ipMasq hides the pod from the outside but not from its subnet, with ipMasqBackend ${ipMasqBackend}`, async () => {
      await using place = await createPortHost();
      const { host, outside } = place;
      const members = { ipMasq: true, ...(ipMasqBackend === undefined ? {} : { ipMasqBackend }) };
      const masked = await addDualPod(host, members);
      const plain = await addDualPod(host);
      await using mirrors = new AsyncDisposableStack();
      mirrors.use(await startMirror(outside, "outside", 80));
      mirrors.use(await startMirror(plain.pod.netns, "plain", 80));
      for (const family of [4, 6] as const) {
        const outer = outsideAddress[family];
        expect(await askMirror(masked.pod.netns, outer, 80)).toBe(`outside ${hostAddress[family]}`);
        expect(await askMirror(plain.pod.netns, outer, 80)).toBe(`outside ${podNetwork[family]}3`);
        expect(await askMirror(masked.pod.netns, `${podNetwork[family]}3`, 80)).toBe(`plain ${podNetwork[family]}2`);
      }
      expect(await podElements(host.netns)).toHaveLength(4);
      await host.delete(host.bridgeConfig({ ipMasq: false }), { pod: masked.pod, netns: "" });
      expect(await podElements(host.netns)).toEqual([]);
    });
  }

  test("ADD refuses another backend", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const pod = await host.addPod();
    const config = host.bridgeConfig({ ipMasq: true, ipMasqBackend: "ebpf" });
    expect(outcome(await host.call("ADD", config, { pod }))).toBe('7 unknown ipmasq backend "ebpf"');
    await host.add({ ...config, ipMasq: false }, { pod });
  });

  test("macspoofchk lets the pod send with its own MAC address, and with no other", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const { pod } = await addDualPod(host, { macspoofchk: true });
    const { pod: free } = await addDualPod(host);
    expect([await pingWorks(place, pod), await pingWorks(place, free)]).toEqual([true, true]);
    for (const netns of [pod.netns, free.netns]) {
      await netns.ip("link", "set", "eth0", "address", "02:00:00:00:99:99");
      await netns.ip("neigh", "flush", "all");
    }
    await host.netns.ip("neigh", "flush", "all");
    expect([await pingWorks(place, pod), await pingWorks(place, free)]).toEqual([false, true]);
    await host.delete(host.bridgeConfig(), { pod });
    expect(await podElements(host.netns)).toEqual([]);
  });

  test("CHECK misses rules that others have removed, GC frees those of attachments that are not valid any more", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const members = { ipMasq: true, macspoofchk: true };
    const kept = await addDualPod(host, members);
    const stale = await addDualPod(host, members);
    const config = host.bridgeConfig({ cniVersion: "1.1.0", ...members, prevResult: kept.result });
    expect(outcome(await host.call("CHECK", config, { pod: kept.pod }))).toBe("ok");
    expect(await podElements(host.netns)).toHaveLength(14);
    expect(outcome(await collect(host, host.bridgeConfig({ cniVersion: "1.1.0", ...members }), [kept.pod]))).toBe("ok");
    const left = await podElements(host.netns);
    expect(left).toHaveLength(7);
    expect(left.join("\n")).not.toContain("10.244.1.3");
    expect(outcome(await host.call("CHECK", config, { pod: kept.pod }))).toBe("ok");
    for (const [damage, words] of [
      [
        ["delete", "element", "inet", "tartan", "masquerade_10.244.1.0/24", "{ 10.244.1.2 }"],
        "masquerade of 10.244.1.2 is missing",
      ],
      [["flush", "set", "bridge", "tartan", "allowed"], "check of the MAC address of veth"],
      [["flush", "chain", "bridge", "tartan", "prerouting"], "check of the MAC address of veth"],
    ] as const) {
      await host.netns.run(["nft", ...damage]);
      expect(outcome(await host.call("CHECK", config, { pod: kept.pod }))).toContain(words);
    }
    await host.delete(host.bridgeConfig(), { pod: stale.pod });
    await host.delete(host.bridgeConfig(), { pod: kept.pod });
    expect(await podElements(host.netns)).toEqual([]);
  });

  test("ADD that fails behind the links takes its rules back", async () => {
    await using place = await createPortHost();
    const { host } = place;
    await addDualPod(host, { ipMasq: true });
    const before = await podElements(host.netns);
    const pod = await host.addPod();
    // Somebody else's table of our name, with a set of another kind.
    await host.netns.run(["nft", "add table bridge tartan; add set bridge tartan allowed { type mark; }"]);
    const config = host.bridgeConfig({ ipMasq: true, macspoofchk: true });
    expect(outcome(await host.call("ADD", config, { pod }))).toStartWith("999 ");
    expect(await podElements(host.netns)).toEqual(before);
  });
});
