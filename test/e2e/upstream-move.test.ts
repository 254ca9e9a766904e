import { expect, test } from "bun:test";

import type { JsonObject } from "../../src/base/decode.ts";
import { createCniNode, installForeign, installOurPlugins, listNodeLeftovers } from "../helpers/cni-node.ts";
import { cnitool } from "../helpers/cnitool.ts";
import { type Conflist, stockConflist } from "../helpers/conflists.ts";
import { listAddresses } from "../helpers/kernel.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNetns } from "../helpers/netns.ts";
import type { TestNode } from "../helpers/node.ts";
import { peerProgram } from "../helpers/peers.ts";
import { describeWith } from "../helpers/require.ts";
import { upstreamPlugins } from "../helpers/upstream.ts";

const needed = [
  "root",
  "executable",
  "link:veth",
  "link:bridge",
  "peer:cnitool",
  "peer:cni-plugins",
  "peer:flannel-cni",
] as const;

/** Theirs alone, also while ours are in place. */
const theirsOnly = { ptp: peerProgram("cni-plugins", "ptp") };

const ipam = {
  type: "host-local",
  ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:244:1::/64" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
};

const oneFamily = { type: "host-local", ranges: [[{ subnet: "10.244.1.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] };

const lists: readonly { readonly what: string; readonly conflist: Conflist; readonly addresses: number }[] = [
  { what: "flannel and portmap", conflist: stockConflist, addresses: 1 },
  {
    what: "bridge and portmap, both families",
    conflist: listOf("0.4.0", { type: "bridge", isGateway: true, hairpinMode: true, ipam }, { type: "portmap" }),
    addresses: 2,
  },
  // One family: upstream's ptp waits two seconds for each pod's IPv6 address.
  { what: "ptp with host-local", conflist: listOf("1.0.0", { type: "ptp", ipam: oneFamily }), addresses: 1 },
  { what: "loopback", conflist: listOf("0.4.0", { type: "loopback" }), addresses: 0 },
];

await describeWith(needed, "a node that moves from upstream to ours and back while its pods run", () => {
  for (const { what, conflist, addresses } of lists) {
    test(`${what}: what one added the other deletes, no address is given twice, and nothing is left`, async () => {
      await using stack = new AsyncDisposableStack();
      const node = stack.use(await createCniNode(conflist));
      const before = new Set(await listNodeLeftovers(node));
      const pods = await Promise.all(Array.from({ length: 9 }, () => createNetns()));
      for (const pod of pods) stack.use(pod);

      await toUpstream(node);
      await forEach(pods.slice(0, 4), (pod) => cnitool(node, "add", pod));
      await toOurs(node);
      await forEach(pods.slice(4, 7), (pod) => cnitool(node, "add", pod));
      const given = (await Promise.all(pods.slice(0, 7).map(podAddresses))).flat();
      expect(given).toHaveLength(7 * addresses);
      expect(new Set(given).size).toBe(given.length);
      await forEach(pods.slice(0, 2), (pod) => cnitool(node, "del", pod));

      await toUpstream(node);
      await forEach([pods[2], pods[4], pods[5]], (pod) => cnitool(node, "del", pod));
      await forEach(pods.slice(7), (pod) => cnitool(node, "add", pod));
      await toOurs(node);
      await forEach([pods[3], pods[7]], (pod) => cnitool(node, "del", pod));
      await toUpstream(node);
      await forEach([pods[6], pods[8]], (pod) => cnitool(node, "del", pod));

      expect((await Promise.all(pods.map(podAddresses))).flat()).toEqual([]);
      const left = (await listNodeLeftovers(node)).filter((line) => !before.has(line) && !lasts(line));
      expect(left).toEqual([]);
    });
  }
});

function listOf(cniVersion: string, ...plugins: readonly JsonObject[]): Conflist {
  return { name: "cbr0", cniVersion, plugins };
}

/** What outlives the pods: the bridge with its addresses and routes, the lock, and what was given out last. */
function lasts(line: string): boolean {
  return /^(?:link cni0 |(?:address|route) .* dev cni0\b)|\/(?:lock|last_reserved_ip\.\d) /.test(line);
}

async function toUpstream(node: TestNode): Promise<void> {
  await installForeign(node, upstreamPlugins);
}

async function toOurs(node: TestNode): Promise<void> {
  await installOurPlugins(node);
  await installForeign(node, theirsOnly);
}

/** One after the other, so that it is known which address comes next. */
async function forEach(
  pods: readonly (TestNetns | undefined)[],
  work: (pod: TestNetns) => Promise<unknown>,
): Promise<void> {
  for (const pod of pods) {
    if (pod === undefined) throw new Error("Cannot go on: there is no such pod");
    await work(pod);
  }
}

/** Of the pod's interface; the kernel's own link-local ones are not counted. */
async function podAddresses(pod: TestNetns): Promise<readonly string[]> {
  const addresses = await listAddresses(pod);
  return addresses.filter(({ device, scope }) => device !== "lo" && scope === "global").map(({ address }) => address);
}
