/** `tartan uninstall --rules`, after a move back to upstream's plugins. */
import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";

import type { CniHost } from "../helpers/cni-host.ts";
import { executablePath } from "../helpers/executable.ts";
import { askMirror, startMirror } from "../helpers/mirror.ts";
import { podElements, ruleset } from "../helpers/nftables.ts";
import { peerDirectory } from "../helpers/peers.ts";
import {
  addDualPod,
  createPortHost,
  hostAddress,
  mapping,
  outsideAddress,
  portmapConfig,
} from "../helpers/port-host.ts";
import { describeWith } from "../helpers/require.ts";

const needs = ["root", "executable", "link:veth", "tool:nft", "tool:iptables", "peer:cni-plugins"] as const;
const reference = peerDirectory("cni-plugins");

async function uninstall(host: CniHost, ...words: readonly string[]): Promise<string> {
  const argv = ["env", "-i", "PATH=", executablePath, "uninstall", ...words];
  const { exitCode, stdout, stderr } = await host.netns.run(argv, { exitCode: "any" });
  return exitCode === 0 ? stdout : `${exitCode} ${stderr}`;
}

await describeWith(needs, "tartan uninstall --rules", () => {
  test("removes the rest of a pod that kept its host port across the move and that upstream deleted", async () => {
    await using place = await createPortHost();
    const { host, outside } = place;
    const masked = { ipMasq: true, macspoofchk: true };
    const moved = await addDualPod(host, masked);
    const kept = await addDualPod(host, masked);
    await host.add(portmapConfig(moved.result, [mapping(8080, 80)]), { pod: moved.pod });
    await host.add(portmapConfig(kept.result, [mapping(9090, 80)]), { pod: kept.pod });
    await using mirrors = new AsyncDisposableStack();
    mirrors.use(await startMirror(kept.pod.netns, "kept", 80));
    mirrors.use(await startMirror(moved.pod.netns, "moved", 80));
    // Nothing is of a pod that is gone.
    const before = await podElements(host.netns);
    expect(await uninstall(host, "--rules")).toContain("Table inet tartan: 0 elements");
    expect(await podElements(host.netns)).toEqual(before);
    // From here on the node's plugins are upstream's: pods keep what they have, until they are deleted.
    expect(await askMirror(outside, hostAddress[4], 8080)).toBe(`moved ${outsideAddress[4]}`);
    const config = portmapConfig(moved.result, [mapping(8080, 80)]);
    await host.delete(config, { pod: moved.pod, plugins: reference });
    await host.delete(host.bridgeConfig({ cniVersion: "1.0.0", ...masked, prevResult: moved.result }), {
      pod: moved.pod,
      plugins: reference,
    });
    expect((await podElements(host.netns)).join()).toContain("10.244.1.2");
    const files = (await readdir(host.directory.path, { recursive: true })).toSorted();
    expect(await uninstall(host, "--rules")).toMatch(/^Table inet tartan: 11 elements .*\nTable bridge tartan: 3 /);
    expect((await podElements(host.netns)).join()).not.toContain("10.244.1.2");
    expect(await askMirror(outside, hostAddress[4], 9090)).toBe(`kept ${outsideAddress[4]}`);
    expect(await askMirror(kept.pod.netns, outsideAddress[4], 1)).toBe("");
    expect(await uninstall(host, "--rules", "--all")).toContain("removed table inet tartan\n");
    expect(await ruleset(host.netns)).not.toContain("tartan");
    expect((await readdir(host.directory.path, { recursive: true })).toSorted()).toEqual(files);
    expect(await uninstall(host, "--rules", "--all")).toBe("There are no rules of the plugins here.\n");
    expect(await uninstall(host, "--rules")).toContain("0 elements");
  });

  test("knows no other word", async () => {
    await using place = await createPortHost();
    expect(await uninstall(place.host, "--rules", "--everything")).toContain('unknown option "--everything"');
    const help = await uninstall(place.host, "--help");
    expect(help).toStartWith("Usage: tartan uninstall [OPTION]...");
    expect(help.replaceAll(/\s+/g, " ")).toContain(
      "no such device is known (of a plugin that makes none) counts as gone",
    );
  });
});
