/**
 * Runs inputs one after the other, in this process or through the executable, and prints what was wrong, a line of JSON
 * each, then a line that says how many ended in which way. Which input it is at stands in DIRECTORY/at, for when it hangs.
 * Like: bun worker.ts DIRECTORY here|executable SEED FROM COUNT
 */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";

import type { Environment } from "../../src/cni/environment.ts";
import { builtInPlugins } from "../../src/plugins/main.ts";
import { runPluginHere } from "../helpers/plugin-process.ts";
import { type FuzzInput, type FuzzTarget, makeInput } from "./input.ts";
import { findFault, type FuzzRun } from "./judge.ts";
import { verbs } from "./seeds.ts";

/** Of the processor's time: how long it takes by the clock depends on what else the machine does. */
const slowMs = 2000;
/** After which an executed one hangs, and is ended. One of this process that hangs is ended with it. */
const timeoutMs = 60_000;

const [outside = "", way = "", seed = "", from = "", count = ""] = process.argv.slice(2);
const directory = `${outside}/run`;
const plugins = builtInPlugins();
const target: FuzzTarget = way === "here" ? targetHere() : usualTarget();
const outcomes = new Map<string, number>();
const at = openSync(`${outside}/at`, "w");
const descriptors = openLinks().length;
for (let number = Number(from); number < Number(from) + Number(count); number++) {
  writeSync(at, `${number}\n`, 0);
  tryInput(number);
}
closeSync(at);
// One netlink socket is kept (firewall/kept-socket.ts), however many inputs there were; `at` is closed.
if (way === "here" && openLinks().length > descriptors)
  print({ problem: "descriptors were left open", open: openLinks() });
// After the descriptors: those of a child are closed when Bun likes.
const elements = countElements();
if (elements > 0) print({ problem: `${elements} elements of pods were left in nf_tables` });
print({ outcomes: Object.fromEntries(outcomes) });

function targetHere(): FuzzTarget {
  return { netns: "/nonexistent", pod: `${directory}/pod`, podShare: 0.08, path: "/nonexistent" };
}

function usualTarget(): FuzzTarget {
  return { netns: `${directory}/pod`, pod: `${directory}/pod`, podShare: 1, path: `${directory}/plugins` };
}

function tryInput(number: number): void {
  const input = placed(makeInput(Number(seed), number, target));
  writeFileSync(`${directory}/subnet.env`, input.subnetEnv);
  if (input.state !== undefined) writeState(input.state);
  const started = process.cpuUsage();
  const run = runInput(input);
  const { user, system } = process.cpuUsage(started);
  const problem = user + system > slowMs * 1000 ? "it took too long" : findFault(input.environment["CNI_COMMAND"], run);
  const command = input.environment["CNI_COMMAND"] ?? "";
  tally(`${verbs.includes(command) ? command : "other"} ${run.exitCode}`);
  if (problem !== undefined) print({ problem, number, input, run });
  else if (command === "ADD") tidy(number, input, run);
}

function tally(outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

/** Addresses of host-local's stay, so that its pool fills; all else a DEL removes. A failed ADD has left no device. */
function tidy(number: number, input: FuzzInput, run: FuzzRun): void {
  if (run.exitCode === 0 && input.plugin !== "host-local") {
    if (listPairs().length > 0) tally("ADD of a pair");
    if (/"(?:hostPort|ipMasq":true|macspoofchk":true)/i.test(input.stdin)) tally("ADD of rules");
    const deleted = runInput({ ...input, environment: { ...input.environment, CNI_COMMAND: "DEL" } });
    if (deleted.exitCode !== 0) print({ problem: "DEL failed after ADD", number, input, run: deleted });
  }
  const left = listPairs();
  if (left.length > 0) print({ problem: `devices were left: ${left.join(" ")}`, number, input, run });
  // Bridges stay, as they should; the gateway address of a mutated one would be in the way of every ADD from then on.
  for (const name of [...left, ...listBridges()]) Bun.spawnSync(["ip", "link", "delete", name]);
}

/** What is left in the tables of our plugins when every ADD has been followed by its DEL. */
function countElements(): number {
  const { stdout } = Bun.spawnSync(["nft", "list", "ruleset"]);
  return [...stdout.toString().matchAll(/elements = \{([^{}]*)\}/g)].flatMap(([, text = ""]) => text.split(",")).length;
}

function runInput(input: FuzzInput): FuzzRun {
  if (way === "here") return runPluginHere({ ...input, plugins });
  const child = Bun.spawnSync([`${directory}/plugins/${input.plugin}`], {
    env: set(input.environment),
    stdin: Buffer.from(input.stdin),
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  return { exitCode: child.exitCode, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
}

/** With the run's directory in place of DIR. */
function placed(input: FuzzInput): FuzzInput {
  const environment: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(input.environment))
    environment[name] = value?.replaceAll("DIR", directory);
  return {
    ...input,
    environment,
    stdin: input.stdin.replaceAll("DIR", directory),
    state: input.state?.replaceAll("DIR", directory),
  };
}

function set(environment: Environment): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) variables[name] = value;
  return variables;
}

function writeState(text: string): void {
  rmSync(`${directory}/flannel`, { recursive: true, force: true });
  mkdirSync(`${directory}/flannel`);
  writeFileSync(`${directory}/flannel/c1`, text);
}

/** The ends of pairs on this host. */
function listPairs(): readonly string[] {
  const names = [...readFileSync("/proc/thread-self/net/dev", "utf8").matchAll(/^ *(veth[^\s:]*):/gm)];
  return names.map(([, name]) => name ?? "");
}

/** The bridges that the seeds name; of those that a mutation named some stay. */
function listBridges(): readonly string[] {
  const devices = readFileSync("/proc/thread-self/net/dev", "utf8");
  return ["cni0", "br1", "br2"].filter((name) => devices.includes(` ${name}:`));
}

/** Files and sockets; the runtime has some of other kinds, and makes them when it likes. */
function openLinks(): readonly string[] {
  const links = readdirSync("/proc/self/fd").map((name) => {
    const path = `/proc/self/fd/${name}`;
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined ? readlinkSync(path) : "";
  });
  return links.filter((link) => link.startsWith("/") || link.startsWith("socket:"));
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
