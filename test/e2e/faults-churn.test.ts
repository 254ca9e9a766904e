import { expect, test } from "bun:test";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { createFaultHost, findErrorText, findResultAddress } from "../faults/host.ts";
import type { FaultHost, Outcome } from "../faults/host.ts";
import { everything, faultTimeoutMs, report } from "../faults/lanes.ts";
import { TestPod } from "../helpers/cni-host.ts";
import { createNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import { randomHex } from "../helpers/run-id.ts";

const podCount = everything ? 1000 : 200;
const atOnce = 16;
/** The latest kill, as a multiple of what a call takes on this machine at this time: so a kill meets it anywhere on its way. */
const latestKill = 1.5;
const killShare = 0.5;

/** The hosts of a /24 but for the gateway. */
const poolSize = 253;

await describeWith(["root", "executable", "tool:nft", "link:veth", "link:bridge"], "many pods", () => {
  test(
    `${podCount} pods, ${atOnce} at a time with random kills, never share an address and leave nothing`,
    async () => {
      await using host = await createFaultHost();
      const churn = new Churn(host);
      const standing = await churn.addStanding(5);
      const before = await withoutMemory(host);
      await churn.run(podCount);
      report(`churn: ${podCount} pods, ${churn.adds} ADDs, ${churn.kills} kills, ${churn.problems.length} failures`);
      expect(churn.problems).toEqual([]);
      expect(await withoutMemory(host)).toEqual(before);
      for (const pod of standing) expect(await host.call("DEL", { pod })).toMatchObject({ exitCode: 0, stdout: "" });
      expect(await host.strays(standing)).toEqual([]);
      expect(churn.kills).toBeGreaterThan(podCount / 10);
      expect(churn.adds).toBeGreaterThan(podCount / 4);
    },
    faultTimeoutMs,
  );

  test(
    "a /24 is given out to its last address, refused then in the reference's words, and free again in the end",
    async () => {
      await using host = await createFaultHost();
      await leaveRemainders(host.host.networksDirectory);
      const pods: TestPod[] = [];
      const given: (string | undefined)[] = [];
      const failures: string[] = [];
      await inParallel(Array.from({ length: poolSize }), async () => {
        const pod = await host.host.addPod();
        const { exitCode, stdout } = await host.call("ADD", { pod });
        if (exitCode !== 0) failures.push(`ADD: ${stdout}`);
        pods.push(pod);
        given.push(findResultAddress(stdout));
      });
      expect(failures).toEqual([]);
      expect(new Set(given).size).toBe(poolSize);
      const refused = await host.call("ADD");
      expect(refused.exitCode).toBe(1);
      expect(findErrorText(refused.stdout)).toBe(
        "failed to allocate for range 0: no IP addresses available in range set: 10.244.1.1-10.244.1.254",
      );
      expect(await readdir(host.host.flannelDirectory)).toHaveLength(poolSize);
      await inParallel(pods, async (pod) => {
        const { exitCode, stdout } = await host.call("DEL", { pod, netns: "" });
        if (exitCode !== 0) failures.push(`DEL: ${stdout}`);
      });
      expect(failures).toEqual([]);
      expect(await host.strays()).toEqual([]);
    },
    faultTimeoutMs,
  );
});

/** Pods that come and go as a runtime makes them: an ADD that was killed is deleted, as often as it takes. */
class Churn {
  readonly problems: string[] = [];
  kills = 0;
  adds = 0;
  /** What a call takes lately, in milliseconds, when it is not killed. */
  #usualMs = 100;
  readonly #host: FaultHost;
  /** The address of each pod whose ADD has succeeded and whose DEL has not begun. */
  readonly #owners = new Map<string, string>();

  constructor(host: FaultHost) {
    this.#host = host;
  }

  /** Adds pods that stay, which nobody may touch. */
  async addStanding(count: number): Promise<readonly TestPod[]> {
    const pods = await Promise.all(Array.from({ length: count }, () => this.#host.host.addPod()));
    for (const pod of pods) {
      const { stdout } = await this.#host.call("ADD", { pod });
      this.#owners.set(findResultAddress(stdout) ?? "none", pod.containerId);
    }
    return pods;
  }

  async run(count: number): Promise<void> {
    const pods = Array.from({ length: count }, () => randomHex(32));
    await inParallel(pods, async (containerId) => {
      await using netns = await createNetns();
      await this.#live(new TestPod(containerId, netns));
    });
  }

  async #live(pod: TestPod): Promise<void> {
    const added = await this.#call("ADD", pod);
    const address = added.killed ? undefined : findResultAddress(added.stdout);
    if (!added.killed && address === undefined) this.#fail(pod, `ADD ended with ${added.exitCode}: ${added.stdout}`);
    if (address !== undefined) {
      this.adds++;
      const other = this.#owners.get(address);
      if (other !== undefined) this.#fail(pod, `has ${address}, which ${other} has`);
      this.#owners.set(address, pod.containerId);
      await Bun.sleep(Math.random() * 50);
      if (this.#owners.get(address) === pod.containerId) this.#owners.delete(address);
    }
    await this.#delete(pod);
  }

  /** Killed, a DEL is called again; the last one has to succeed. */
  async #delete(pod: TestPod): Promise<void> {
    // Some runtimes lose the namespace before they call DEL.
    if (Math.random() < 0.1) await pod.netns.remove();
    for (let attempt = 0; attempt < 10; attempt++) {
      const { killed, exitCode, stdout, stderr } = await this.#call("DEL", pod);
      if (killed) continue;
      if (exitCode !== 0) this.#fail(pod, `DEL ended with ${exitCode}: ${stdout}${stderr}`);
      return;
    }
    const { exitCode, stdout, stderr } = await this.#host.call("DEL", { pod });
    if (exitCode !== 0) this.#fail(pod, `DEL ended with ${exitCode}: ${stdout}${stderr}`);
  }

  async #call(command: "ADD" | "DEL", pod: TestPod): Promise<Outcome> {
    const timer: { id: ReturnType<typeof setTimeout> | undefined } = { id: undefined };
    const started = performance.now();
    const outcome = await this.#host.call(command, {
      pod,
      onStart: (kill) => {
        if (Math.random() < killShare) timer.id = setTimeout(kill, Math.random() * latestKill * this.#usualMs);
      },
    });
    clearTimeout(timer.id);
    if (outcome.killed) this.kills++;
    else this.#usualMs += (performance.now() - started - this.#usualMs) / 10;
    return outcome;
  }

  #fail(pod: TestPod, problem: string): void {
    this.problems.push(`${pod.containerId.slice(0, 12)}: ${problem}`);
  }
}

/** What a crash or a loss of power leaves of an ADD: files that are empty or of zeros, and temporary ones. */
async function leaveRemainders(networks: string): Promise<void> {
  const network = join(networks, "cbr0");
  await mkdir(network, { recursive: true });
  for (const [name, text] of [
    ["10.244.1.2", ""],
    ["10.244.1.100", "\0".repeat(70)],
    ["10.244.1.254", " \r\n"],
    [".10.244.1.7.tartan-123-abc", ""],
    ["last_reserved_ip.0", ""],
  ] as const) {
    await writeFile(join(network, name), text);
  }
}

/** All that is on the host but for which address was given out last. */
async function withoutMemory(host: FaultHost): Promise<readonly string[]> {
  const lines = await host.host.leftovers();
  return lines.filter((line) => !line.includes("last_reserved_ip"));
}

/** Does the work for every item, so many at the same time. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  async function runLane(): Promise<void> {
    for (const item of waiting) await work(item);
  }
  // Every lane is waited for, so that none works on when the test has ended.
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, runLane));
  const crash = ends.find((end) => end.status === "rejected");
  if (crash !== undefined) throw crash.reason;
}
