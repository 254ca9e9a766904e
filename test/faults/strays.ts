import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { runCommand } from "../helpers/command.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { podElements } from "../helpers/nftables.ts";

/** What outlives the pods: the bridge, the lock, and what each range set gave out last. */
const lastingDevice = /^(?:lo|cni0|tunl0|sit0|ip6tnl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6gre0)$/;
const lastingFile = /^(?:lock|last_reserved_ip\.\d+)$/;

/** The devices of a host and its pods, the elements of its tables, and the files below the plugins' directories, that no pod needs to have left. */
export async function listStrays(
  host: TestNetns,
  pods: readonly TestNetns[],
  directories: readonly string[],
): Promise<readonly string[]> {
  const devices = await Promise.all([host, ...pods].map(listDevices));
  const files = await Promise.all(directories.map(listFiles));
  return [
    ...devices.flat().filter((line) => !lastingDevice.test(line.split(" ")[1] ?? "")),
    ...(await podElements(host)).map((element) => `element ${element}`),
    ...files.flat().filter((line) => !lastingFile.test(line.split(" ")[1] ?? "")),
  ];
}

/** Without `ip`, which would cost more than the run that is looked at. */
async function listDevices(netns: TestNetns): Promise<readonly string[]> {
  const { stdout } = await runCommand(["nsenter", `--net=${netns.path}`, "cat", "/proc/net/dev"]);
  const names = [...stdout.matchAll(/^ *([^\s:]+):/gm)].map(([, name]) => name ?? "");
  return names.map((name) => `device ${name} in ${netns.name}`);
}

async function listFiles(directory: string): Promise<readonly string[]> {
  if (!existsSync(directory)) return [];
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return Promise.all(
    files.map(
      async ({ name, parentPath }) => `file ${name} ${JSON.stringify(await readFile(join(parentPath, name), "utf8"))}`,
    ),
  );
}
