import { copyFile, link, rm, symlink } from "node:fs/promises";

import { masqueradingSubnetEnv } from "./conflists.ts";
import type { Conflist } from "./conflists.ts";
import { executablePath, programNames } from "./executable.ts";
import { listLeftovers } from "./leftovers.ts";
import { createNode } from "./node.ts";
import type { TestNode } from "./node.ts";

/** The directory of the plugins, as the node sees it. */
export const pluginDirectory = "/opt/cni/bin";

/** A node with our plugins and one network installed, on which a daemon has written subnet.env. */
export async function createCniNode(conflist: Conflist): Promise<TestNode> {
  await using made = new AsyncDisposableStack();
  const node = made.use(await createNode());
  await installOurPlugins(node);
  await node.write("run/flannel/subnet.env", masqueradingSubnetEnv);
  await installConflist(node, conflist);
  made.move();
  return node;
}

/** Copies the executable into the node once, with a hard link to the copy in place of whatever has one of its names. */
export async function installOurPlugins(node: TestNode): Promise<void> {
  const copy = node.path("opt/cni/tartan");
  await copyFile(executablePath, copy);
  for (const name of programNames) {
    const path = node.path(`${pluginDirectory}/${name}`);
    await rm(path, { force: true });
    await link(copy, path);
  }
}

/** Puts a network in the place of the node's present one. */
export async function installConflist(node: TestNode, conflist: Conflist): Promise<void> {
  await node.write("etc/cni/net.d/10-flannel.conflist", JSON.stringify(conflist));
}

/** Puts other projects' programs among the plugins of the node, or in the place of ours. */
export async function installForeign(node: TestNode, foreign: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, program] of Object.entries(foreign)) {
    const path = node.path(`${pluginDirectory}/${name}`);
    await rm(path, { force: true });
    await symlink(program, path);
  }
}

/**
 * What outlives the last pod of a node, as listNodeLeftovers() tells it: the bridge, and what the allocator remembers.
 * `lastAddress` is the one that was given out last.
 */
export function lastingAfter(lastAddress: string): readonly string[] {
  return [
    "address 10.244.1.1/24 dev cni0",
    `file var/lib/cni/networks/cbr0/last_reserved_ip.0 "${lastAddress}"`,
    'file var/lib/cni/networks/cbr0/lock ""',
    "link cni0 type bridge up",
    "route 10.244.1.0/24 dev cni0 proto kernel",
  ];
}

/** Everything there is on the node, and in the files of its plugins and of the runtime's library, as sorted lines. */
export function listNodeLeftovers(node: TestNode): Promise<readonly string[]> {
  return listLeftovers(node.netns, node.path("."), ["var/lib/cni", "run/cni"]);
}
