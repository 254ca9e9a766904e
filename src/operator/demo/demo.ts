/**
 * `tartan demo`: two nodes with two pods each on one machine, made by the programs that make them in a cluster, and shown
 * step by step. All of it is in network namespaces and in one directory, and carries a random ID.
 */
import { errorText } from "../../base/error.ts";
import { versionLine } from "../../base/version.ts";
import { ensureDirectory, findText, replaceFile } from "../../sys/file.ts";
import { makeDirectory, makeSymbolicLink } from "../../sys/tree.ts";
import { outputIsTerminal, writeError } from "../../sys/output.ts";
import { InterruptedError, Interruption } from "./interruption.ts";
import { keepLines } from "./keep.ts";
import { type DemoNode, logPath, startNode, waitForPeers } from "./node.ts";
import { newId, nodeDirectory, type Place, placeOf } from "./place.ts";
import { networkConfig, nodePlans } from "./plan.ts";
import { addPod, type DemoPod, writeConflist } from "./pod.ts";
import { removeDemo } from "./removal.ts";
import { Screen, wantsColours } from "./screen.ts";
import { showLeases, showMachines, showPaths, showTunnels } from "./show-nodes.ts";
import { showAllPods, showPod, showPodBridge } from "./show-pods.ts";
import { showAllPings, showPingAcross, showPingOnNode } from "./show-traffic.ts";
import { createSpace } from "./space.ts";
import { makeSwitch, plugIn } from "./underlay.ts";

/** How many of a daemon's last lines a failure shows. */
const logLineCount = 10;

/** How the demonstration went. */
type Outcome =
  | {
      readonly kind: "shown";
      readonly complete: boolean;
      readonly nodes: readonly DemoNode[];
      readonly hints: readonly string[];
    }
  | { readonly kind: "failed"; readonly error: unknown };

/**
 * Runs the demo and returns the exit code: 0 when every ping came back, 128 and its number after a signal, else 1. All
 * that was made is removed again, unless it shall be kept and was made whole.
 */
export async function runDemo(keep: boolean): Promise<number> {
  const start = performance.now();
  const place = placeOf(newId());
  const screen = new Screen(wantsColours(outputIsTerminal(), process.env));
  using interruption = new Interruption();
  const outcome = await tryDemonstration(place, screen, interruption);
  if (outcome.kind === "failed") {
    if (await removeReported(place)) report(["All that was made is removed again."]);
    return outcome.error instanceof InterruptedError ? outcome.error.exitCode : 1;
  }
  const pings = outcome.complete ? "Every ping came back." : "Not every ping came back.";
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (keep) {
    for (const node of outcome.nodes) node.daemon.release();
    screen.verdict(outcome.complete, `${pings} Left up after ${seconds} s.`);
    screen.text("", ...outcome.hints);
    return outcome.complete ? 0 : 1;
  }
  const removed = await removeReported(place);
  const all = removed ? `All of it is removed again, after ${seconds} s.` : "Not all of it could be removed.";
  screen.verdict(outcome.complete && removed, `${pings} ${all}`);
  return outcome.complete && removed ? 0 : 1;
}

/** Says what went wrong at once, with the daemons' last words, since their logs are removed with the rest. */
async function tryDemonstration(place: Place, screen: Screen, interruption: Interruption): Promise<Outcome> {
  try {
    return await demonstrate(place, screen, interruption);
  } catch (error) {
    const logs = error instanceof InterruptedError ? [] : nodePlans().flatMap(({ name }) => lastLogLines(place, name));
    report([`tartan demo: ${errorText(error)}`, ...logs]);
    return { kind: "failed", error };
  }
}

async function demonstrate(place: Place, screen: Screen, interruption: Interruption): Promise<Outcome> {
  using scope = new DisposableStack();
  screen.title(`tartan demo ${place.id} (${versionLine})`);
  screen.text(
    "Two nodes with pods that reach one another. Each block below is read from the kernel or from a file, in the form of",
    "the command above it; nothing but this executable is used.",
  );
  prepare(place);
  const nodes = await makeNodes(place, screen, interruption, scope);
  const pods = await makePods(place, nodes, interruption, scope);
  const [first, second, across] = pods;
  if (first === undefined || second === undefined || across === undefined) throw new Error("Cannot show pods: too few");
  showPod(screen, first);
  showPodBridge(screen, first);
  showAllPods(screen, pods);
  const results: boolean[] = [];
  await interruption.check();
  results.push(await showPingOnNode(screen, first, second));
  await interruption.check();
  results.push(await showPingAcross(screen, first, across));
  await interruption.check();
  results.push(showAllPings(screen, pods));
  await interruption.check();
  return { kind: "shown", complete: results.every(Boolean), nodes, hints: keepLines(place, first, across) };
}

/** The directory with the lease source's configuration and the programs under their names. */
function prepare(place: Place): void {
  makeDirectory(place.directory, 0o755);
  ensureDirectory(`${place.leases}/subnets`, 0o755);
  replaceFile(`${place.leases}/config`, `${JSON.stringify(networkConfig)}\n`, 0o644);
  ensureDirectory(place.programs, 0o755);
  for (const name of ["flanneld", "flannel", "bridge", "host-local", "loopback"]) {
    makeSymbolicLink(process.execPath, `${place.programs}/${name}`);
  }
}

async function makeNodes(
  place: Place,
  screen: Screen,
  interruption: Interruption,
  scope: DisposableStack,
): Promise<readonly DemoNode[]> {
  const switchSpace = scope.use(createSpace(place, "switch"));
  makeSwitch(switchSpace);
  const machines = nodePlans().map((plan) => {
    const space = scope.use(createSpace(place, plan.name));
    plugIn(switchSpace, space, plan);
    return { plan, space };
  });
  showMachines(
    screen,
    machines.map(({ space }) => space),
  );
  const nodes: DemoNode[] = [];
  // One after the other: what goes wrong is told of the node that it goes wrong on.
  for (const { plan, space } of machines) {
    ensureDirectory(nodeDirectory(place, plan.name), 0o755);
    nodes.push(await startNode(place, plan, space, interruption));
  }
  for (const node of nodes) await waitForPeers(node, nodes.length - 1, interruption);
  showLeases(screen, place, nodes);
  showTunnels(screen, nodes);
  showPaths(screen, nodes);
  return nodes;
}

async function makePods(
  place: Place,
  nodes: readonly DemoNode[],
  interruption: Interruption,
  scope: DisposableStack,
): Promise<readonly DemoPod[]> {
  const pods: DemoPod[] = [];
  for (const node of nodes) {
    ensureDirectory(`${node.directory}/net.d`, 0o755);
    writeConflist(node);
    for (const name of node.plan.pods) {
      await interruption.check();
      const pod = await addPod(place, node, name);
      scope.use(pod.space);
      pods.push(pod);
    }
  }
  return pods;
}

async function removeReported(place: Place): Promise<boolean> {
  try {
    await removeDemo(place);
    return true;
  } catch (error) {
    report([`tartan demo: ${errorText(error)}`]);
    return false;
  }
}

function lastLogLines(place: Place, node: string): readonly string[] {
  const lines = (findText(logPath(place, node)) ?? "").trimEnd().split("\n").slice(-logLineCount);
  return lines.filter((line) => line !== "").map((line) => `${node} flanneld: ${line}`);
}

function report(lines: readonly string[]): void {
  writeError(lines.map((line) => `${line}\n`).join(""));
}
