import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import { runCommand } from "./command.ts";

const packages = ["systemd"];
const buildTimeoutMs = 15 * 60_000;

/** The root of a small Debian with systemd, kept between runs; nothing writes to it. */
export function debianRoot(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tartan", `debian-${packages.join("-")}`);
}

/** Makes the root with debootstrap, from the mirror that this machine's apt uses. */
export async function buildDebianRoot(): Promise<void> {
  const target = debianRoot();
  if (existsSync(target)) return;
  const release = /^VERSION_CODENAME=(.*)$/m.exec(await readFile("/etc/os-release", "utf8"))?.[1] ?? "stable";
  const building = `${target}.${process.pid}`;
  await mkdir(dirname(building), { recursive: true });
  try {
    const include = `--include=${packages.join(",")}`;
    const words = ["nice", "debootstrap", "--variant=minbase", include, release, building, await findMirror(release)];
    await runCommand(words, { timeoutMs: buildTimeoutMs });
    await rename(building, target);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

async function findMirror(release: string): Promise<string> {
  const words = ["apt-get", "indextargets", "--format", "$(RELEASE) $(SITE)", "Created-By: Packages"];
  const { stdout } = await runCommand(words);
  const line = stdout.split("\n").find((candidate) => candidate.startsWith(`${release} `));
  if (line === undefined) throw new Error(`Cannot make a Debian root: apt knows no mirror of ${release}`);
  return line.slice(release.length + 1);
}
