import { expect, test } from "bun:test";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import {
  createCniNode,
  installConflist,
  installForeign,
  lastingAfter,
  listNodeLeftovers,
} from "../helpers/cni-node.ts";
import { cnitool, failingCnitool } from "../helpers/cnitool.ts";
import { ownConflist, surroundedConflist } from "../helpers/conflists.ts";
import { listAddresses } from "../helpers/kernel.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNode } from "../helpers/node.ts";
import { createNoopPlugin } from "../helpers/noop-plugin.ts";
import type { NoopPlugin } from "../helpers/noop-plugin.ts";
import { peerProgram } from "../helpers/peers.ts";
import { describeWith } from "../helpers/require.ts";

/** What a plugin before ours may have done in the pod. */
const earlierResult = {
  cniVersion: "1.1.0",
  interfaces: [{ name: "other0", mac: "02:00:00:00:00:01", sandbox: "/run/netns/other" }],
  ips: [{ address: "198.51.100.7/24", interface: 0 }],
  routes: [{ dst: "198.51.100.0/24" }],
};

await describeWith(["root", "executable", "link:veth", "link:bridge", "peer:cnitool"], "a conflist", () => {
  test("runs every verb with a foreign plugin before ours, whose result ours replaces, as upstream's does", async () => {
    await using node = await createCniNode(ownConflist);
    const before = await installBefore(node, { ReportResult: JSON.stringify(earlierResult) });
    await using pod = await createNetns();

    await cnitool(node, "status", pod);
    const { stdout } = await cnitool(node, "add", pod);
    const result = new Decoder(parseJson(stdout));
    expect(
      result
        .field("interfaces")
        .list()
        .map((item) => (item.field("name").string() ?? "").replace(/^veth[0-9a-f]+$/, "VETH")),
    ).toEqual(["cni0", "VETH", "eth0"]);
    expect(
      result
        .field("ips")
        .list()
        .map((item) => item.field("address").string()),
    ).toEqual(["10.244.1.2/24"]);

    await cnitool(node, "check", pod);
    await cnitool(node, "del", pod);
    // Without the list of what stays, which cnitool does not give, ours frees nothing and says so; the other is asked.
    expect(await failingCnitool(node, "gc", pod)).toStartWith("failed to GC plugin flannel: ");
    expect(await before.commands()).toEqual(["STATUS", "ADD", "CHECK", "DEL", "GC"]);
    expect(await listAddresses(pod)).toEqual([]);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });

  test("deletes cleanly after a foreign plugin before ours has failed", async () => {
    await using node = await createCniNode(ownConflist);
    const before = await installBefore(node, { ReportError: "not today" });
    await using pod = await createNetns();

    expect(await failingCnitool(node, "add", pod)).toContain("not today");
    await before.answer({ ReportResult: "{}" });
    await cnitool(node, "del", pod);
    expect(await before.commands()).toEqual(["ADD", "DEL"]);
    // Ours was never asked to add, so that not even the bridge is there; DEL leaves no more than its lock.
    const left = await listNodeLeftovers(node);
    expect(left.filter((line) => !line.endsWith('/lock ""'))).toEqual([]);
  });
});

async function installBefore(node: TestNode, answer: Parameters<NoopPlugin["answer"]>[0]): Promise<NoopPlugin> {
  await installForeign(node, { noop: peerProgram("cnitool", "noop") });
  const before = await createNoopPlugin(node, "before", answer);
  await installConflist(node, surroundedConflist([before.entry], []));
  return before;
}
