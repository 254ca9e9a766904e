/**
 * Installs what the tests need beside the npm packages: Debian packages, and the Go programs of other projects, all or
 * those that the command line names. Quick when all is there. What cannot be had is said here and named again by each
 * test that misses it (helpers/require.ts).
 */
import { rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";

import { errorText } from "../src/base/error.ts";
import { runCommand } from "./helpers/command.ts";
import { buildDebianRoot, debianRoot } from "./helpers/debian-root.ts";
import { goState } from "./helpers/go.ts";
import { buildPeer } from "./helpers/peer-build.ts";
import { missingPeerPrograms, peerNames, peers } from "./helpers/peers.ts";
import { createTemporaryDirectory } from "./helpers/temp.ts";

const debianPackages = [
  "buildah",
  "busybox-static",
  "conntrack",
  "containerd",
  "debootstrap",
  "gcc",
  "iproute2",
  "iptables",
  "iputils-ping",
  "libc6-dev",
  "nftables",
  "openssl",
  "procps",
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
  const wanted = process.argv.slice(2);
  const named = peerNames().filter((name) => wanted.length === 0 || wanted.includes(name));
  const missing = named.filter((name) => missingPeerPrograms(name).length > 0);
  if (missing.length === 0) return;
  const go = await goState();
  if (go.missing !== undefined) {
    say(`skipping the peers ${missing.join(", ")}: ${go.missing}`);
    return;
  }
  for (const name of missing) {
    say(`building ${name} ${peers[name].version}`);
    const started = Date.now();
    await buildPeer(name);
    say(`built ${name} in ${Math.round((Date.now() - started) / 1000)} s`);
  }
}

function say(text: string): void {
  process.stdout.write(`test setup: ${text}\n`);
}
