import { describe, test } from "bun:test";
import { existsSync } from "node:fs";

import { debianRoot } from "./debian-root.ts";
import { executablePath } from "./executable.ts";
import { goState } from "./go.ts";
import { isPeerName, missingPeerPrograms } from "./peers.ts";

/** Something a test needs: the user root, the built executable, a Debian to start, a kind of link, a program, a peer. */
export type Requirement =
  | "root"
  | "executable"
  | "debian-root"
  | `link:${string}`
  | `tool:${string}`
  | `peer:${string}`;

/** A requirement that is not met. */
interface Lack {
  readonly reason: string;
  /** True for what nobody can install: a kernel is as it is, so this alone never fails a run. */
  readonly kernel: boolean;
}

/** What describeWith takes beside the requirements. */
export interface DescribeOptions {
  /** For the tests of describeWith itself. */
  readonly ci?: boolean;
}

/**
 * A group of tests that need something of the machine. What is missing is shown as a skipped group with the reason in
 * its name; in CI, where the machine is ours to prepare, it is a failure.
 */
export async function describeWith(
  requirements: readonly Requirement[],
  name: string,
  body: () => void,
  options: DescribeOptions = {},
): Promise<void> {
  const lacks = await findLacks(requirements);
  if (lacks.length === 0) {
    describe(name, body);
    return;
  }
  const reasons = lacks.map((lack) => lack.reason).join("; ");
  const ci = options.ci ?? process.env["CI"] === "true";
  if (ci && lacks.some((lack) => !lack.kernel)) {
    test(`${name}: what it needs is there`, () => {
      throw new Error(`Cannot run the tests of "${name}": ${reasons}`);
    });
    return;
  }
  describe.skip(`${name} (skipped: ${reasons})`, body);
}

/** The reasons why the requirements are not met, none when they are. */
export async function missingRequirements(requirements: readonly Requirement[]): Promise<readonly string[]> {
  const lacks = await findLacks(requirements);
  return lacks.map((lack) => lack.reason);
}

async function findLacks(requirements: readonly Requirement[]): Promise<readonly Lack[]> {
  const lacks: Lack[] = [];
  for (const requirement of requirements) {
    const lack = await findLack(requirement);
    // Without root the rest cannot even be asked for.
    if (lack !== undefined && requirement === "root") return [lack];
    if (lack !== undefined) lacks.push(lack);
  }
  return lacks;
}

async function findLack(requirement: Requirement): Promise<Lack | undefined> {
  if (requirement === "root") {
    return process.getuid?.() === 0 ? undefined : { reason: "only root can run it", kernel: false };
  }
  if (requirement === "executable") {
    if (existsSync(executablePath)) return undefined;
    return { reason: "dist/tartan is not built (npm run build)", kernel: false };
  }
  if (requirement === "debian-root") {
    if (existsSync(debianRoot())) return undefined;
    return { reason: "there is no Debian to start (bun test/setup.ts makes it)", kernel: false };
  }
  const subject = requirement.slice(requirement.indexOf(":") + 1);
  if (requirement.startsWith("link:")) return lackOfLinkKind(subject);
  if (requirement.startsWith("tool:")) {
    if (Bun.which(subject) !== null) return undefined;
    return { reason: `there is no "${subject}" on PATH (bun test/setup.ts)`, kernel: false };
  }
  return lackOfPeer(subject);
}

/** Asks the kernel by making such a link in a namespace that ends with the command. */
function lackOfLinkKind(kind: string): Lack | undefined {
  const settings: Readonly<Record<string, readonly string[]>> = {
    vxlan: ["id", "1", "dstport", "4789"],
    vlan: ["link", "lo", "id", "1"],
    ipip: ["local", "127.0.0.1"],
  };
  // `bridge vlan_filtering 1` asks for a kind with a setting.
  const probe = ["ip", "link", "add", "name", "probe", "type", ...kind.split(" "), ...(settings[kind] ?? [])];
  const { exitCode, stderr } = Bun.spawnSync(["unshare", "--net", ...probe]);
  if (exitCode === 0) return undefined;
  const text = stderr.toString().trim();
  const unknown = /Unknown device type|Operation not supported|Not supported/i.test(text);
  if (unknown) return { reason: `this kernel has no links of kind ${kind}`, kernel: true };
  return { reason: `no link of kind ${kind} can be made here: ${text}`, kernel: false };
}

async function lackOfPeer(name: string): Promise<Lack | undefined> {
  if (!isPeerName(name)) throw new Error(`Cannot look for the peer "${name}": the table of peers has no such name`);
  if (missingPeerPrograms(name).length === 0) return undefined;
  const go = await goState();
  const why = go.missing ?? "bun test/setup.ts builds it";
  return { reason: `the peer ${name} is not there: ${why}`, kernel: false };
}
