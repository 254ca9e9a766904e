import { copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { runCommand } from "./command.ts";
import { oldestGo } from "./go.ts";
import type { ModuleBuild } from "./peer-modules.ts";
import { missingPeerPrograms, peerDirectory, peers } from "./peers.ts";
import type { PeerName, PeerSource } from "./peers.ts";
import { createTemporaryDirectory } from "./temp.ts";

/** The name of the modules of our own, which go build gives to their main package. */
const ownModule = "peer";

/** Kubernetes takes eight minutes on two idle cores. */
const buildTimeoutMs = 45 * 60_000;

/** Built beside its place and renamed into it, so that a half-built one is never seen and two runs do not collide. */
export async function buildPeer(name: PeerName): Promise<void> {
  const target = peerDirectory(name);
  await mkdir(dirname(target), { recursive: true });
  const building = await mkdtemp(join(dirname(target), ".building-"));
  try {
    await buildPrograms(peers[name], building);
    // A run beside this one, which may be using it already, may have put the same there first.
    if (missingPeerPrograms(name).length === 0) return;
    // What is there lacks a program that the table has got since.
    await rm(target, { recursive: true, force: true });
    await rename(building, target);
  } catch (error) {
    if (missingPeerPrograms(name).length > 0) throw error;
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

/** Builds the programs into a directory that is outside any module, so that no go.mod of the surroundings has a say. */
async function buildPrograms(source: PeerSource, directory: string): Promise<void> {
  const { version, module, packages, programs } = source;
  const linker = ["-s", "-w", ...(module?.linkerFlags ?? [])].join(" ");
  const flags = ["-trimpath", `-ldflags=${linker}`];
  const env = { GOBIN: directory, CGO_ENABLED: module?.cgo === true ? "1" : "0" };
  const options = { env, timeoutMs: buildTimeoutMs };
  if (module === undefined) {
    const words = ["nice", "go", "install", ...flags, ...packages.map((path) => `${path}@${version}`)];
    await runCommand(words, { ...options, cwd: directory });
    return;
  }
  await using own = await createTemporaryDirectory();
  await own.write("go.mod", moduleFile(module));
  if (module.main !== undefined) await own.write("main.go", module.main);
  const words = ["nice", "go", "build", "-mod=mod", ...flags, "-o", `${directory}/`, ...packages];
  await runCommand(words, { ...options, cwd: own.path });
  for (const [index, path] of packages.entries()) {
    const built = path === "." ? ownModule : basename(path);
    await rename(join(directory, built), join(directory, programs[index] ?? built));
  }
  for (const [path, file] of Object.entries(source.documents)) {
    const list = ["go", "list", "-mod=mod", "-m", "-f", "{{.Dir}}", ...Object.keys(module.requires)];
    const { stdout } = await runCommand(list, { ...options, cwd: own.path });
    await copyFile(join(stdout.trim(), path), join(directory, file));
  }
}

function moduleFile({ requires, replaces = {} }: ModuleBuild): string {
  const lines = [
    `module ${ownModule}`,
    `go ${oldestGo.major}.${oldestGo.minor}`,
    ...Object.entries(requires).map(([path, version]) => `require ${path} ${version}`),
    ...Object.entries(replaces).map(([path, version]) => `replace ${path} => ${path} ${version}`),
  ];
  return `${lines.join("\n")}\n`;
}
