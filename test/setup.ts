/**
 * Installs what the tests need beside the npm packages: Debian packages, and the Go programs of other projects. Quick
 * when all is there. What cannot be had is said here and named again by each test that misses it (helpers/require.ts).
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

import { errorText } from "../src/base/error.ts";
import { runCommand } from "./helpers/command.ts";
import { buildDebianRoot, debianRoot } from "./helpers/debian-root.ts";
import { goState, oldestGo } from "./helpers/go.ts";
import { missingPeerPrograms, peerDirectory, peerNames, peers } from "./helpers/peers.ts";
import type { PeerName, PeerSource } from "./helpers/peers.ts";
import { createTemporaryDirectory } from "./helpers/temp.ts";

const debianPackages = [
  "busybox-static",
  "conntrack",
  "containerd",
  "debootstrap",
  "iproute2",
  "iptables",
  "iputils-ping",
  "nftables",
  "qemu-user",
  "runc",
  "strace",
  "systemd-container",
  "tcpdump",
  "umoci",
  "util-linux",
  "xfsprogs",
] as const;

const installTimeoutMs = 15 * 60_000;

process.exit((await setUp()) ? 0 : 1);

/** True when nothing that was tried failed. */
async function setUp(): Promise<boolean> {
  const steps = [installDebianPackages, makeDebianRoot, buildPeers];
  let succeeded = true;
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      succeeded = false;
      say(error instanceof Error ? error.message : errorText(error));
    }
  }
  return succeeded;
}

async function installDebianPackages(): Promise<void> {
  if (Bun.which("apt-get") === null) {
    say(`no apt-get here: these Debian packages, or their like, are yours to install: ${debianPackages.join(" ")}`);
    return;
  }
  const missing = await missingPackages();
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    say(`only root can install ${missing.join(" ")}`);
    return;
  }
  say(`installing ${missing.join(" ")}`);
  await aptGet(["update"]);
  await aptGet(["install", "--yes", "--no-install-recommends", ...missing]);
}

async function missingPackages(): Promise<readonly string[]> {
  const format = "${Package} ${db:Status-Status}\n";
  const { stdout } = await runCommand(["dpkg-query", "--show", `--showformat=${format}`, ...debianPackages], {
    exitCode: "any",
  });
  const installed = new Set(stdout.split("\n").filter((line) => line.endsWith(" installed")));
  return debianPackages.filter((name) => !installed.has(`${name} installed`));
}

/**
 * Runs apt-get so that no service of an installed package starts: the packages ask /usr/sbin/policy-rc.d, and in a mount
 * namespace of apt-get's own that file is one which says no. Nothing has to be put back, whatever happens; the empty
 * file made to mount it on, where there is none, is not executable and thus says nothing.
 */
async function aptGet(words: readonly string[]): Promise<void> {
  const policy = "/usr/sbin/policy-rc.d";
  await using directory = await createTemporaryDirectory();
  const refusal = await directory.write("policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755);
  const placeholder = !existsSync(policy);
  if (placeholder) await writeFile(policy, "", { mode: 0o644 });
  try {
    const mounted = 'mount --bind "$1" "$2" && shift 2 && exec apt-get "$@"';
    const patience = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"];
    const namespace = ["unshare", "--mount", "--propagation", "private"];
    await runCommand([...namespace, "sh", "-c", mounted, "sh", refusal, policy, ...patience, ...words], {
      env: { DEBIAN_FRONTEND: "noninteractive" },
      timeoutMs: installTimeoutMs,
    });
  } finally {
    if (placeholder) await rm(policy, { force: true });
  }
}

async function makeDebianRoot(): Promise<void> {
  if (existsSync(debianRoot()) || process.getuid?.() !== 0 || Bun.which("debootstrap") === null) return;
  say("making a small Debian");
  await buildDebianRoot();
}

async function buildPeers(): Promise<void> {
  const missing = peerNames().filter((name) => missingPeerPrograms(name).length > 0);
  if (missing.length === 0) return;
  const go = await goState();
  if (go.missing !== undefined) {
    say(`skipping the peers ${missing.join(", ")}: ${go.missing}`);
    return;
  }
  for (const name of missing) await buildPeer(name);
}

/** Built beside its place and renamed into it, so that a half-built one is never seen and two runs do not collide. */
async function buildPeer(name: PeerName): Promise<void> {
  const target = peerDirectory(name);
  say(`building ${name} ${peers[name].version}`);
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
async function buildPrograms({ version, module, packages }: PeerSource, directory: string): Promise<void> {
  const flags = ["-trimpath", "-ldflags=-s -w"];
  const options = { env: { GOBIN: directory, CGO_ENABLED: "0" }, timeoutMs: installTimeoutMs };
  if (module === undefined) {
    const words = ["nice", "go", "install", ...flags, ...packages.map((path) => `${path}@${version}`)];
    await runCommand(words, { ...options, cwd: directory });
    return;
  }
  // A module that requires it takes what its go.mod requires, and is not bound to what it excludes or replaces.
  await using own = await createTemporaryDirectory();
  await own.write("go.mod", `module peer\n\ngo ${oldestGo.major}.${oldestGo.minor}\n\nrequire ${module} ${version}\n`);
  const words = ["nice", "go", "build", "-mod=mod", ...flags, "-o", `${directory}/`, ...packages];
  await runCommand(words, { ...options, cwd: own.path });
}

function say(text: string): void {
  process.stdout.write(`test setup: ${text}\n`);
}
