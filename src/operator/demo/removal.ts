/** Removing a demo, whatever of it there is: the whole of one, what an interrupted one has made, or nothing. */
import { errorText } from "../../base/error.ts";
import { listDirectory } from "../../sys/directory.ts";
import { findNetns, NotANamespaceError } from "../../sys/netns.ts";
import { netnsPath, removeNetns } from "../../sys/netns-create.ts";
import { findNetnsIdentityOf, listProcesses } from "../../sys/process.ts";
import { removeTree } from "../../sys/tree.ts";
import { daemonArgv } from "./node.ts";
import { listNetnsNames, netnsName, type Place } from "./place.ts";
import { nodePlans } from "./plan.ts";

/** How long a program may take to end after SIGTERM, and then to be gone after SIGKILL. */
const patienceMilliseconds = { SIGTERM: 3000, SIGKILL: 2000 } as const;

/** Removes a demo and makes sure that it is gone; every step is tried. Throws an Error that names what is left. */
export async function removeDemo(place: Place): Promise<void> {
  const problems: string[] = [];
  await tried(problems, () => endPrograms(place));
  for (const name of listNetnsNames(place)) await tried(problems, () => void removeNetns(name));
  await tried(problems, () => removeTree(place.directory));
  problems.push(...leftovers(place).map((left) => `${left} is still there`));
  if (problems.length > 0) throw new Error(`Cannot remove all of demo ${place.id}: ${problems.join("; ")}`);
}

/** What there is of a demo, as lines for people; none when it is gone. */
export function leftovers(place: Place): readonly string[] {
  const processes = findPrograms(place).map((pid) => `process ${pid}`);
  const namespaces = listNetnsNames(place).map((name) => netnsPath(name));
  return [...processes, ...namespaces, ...(listDirectory(place.directory) === undefined ? [] : [place.directory])];
}

async function tried(problems: string[], step: () => void | Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    problems.push(errorText(error));
  }
}

async function endPrograms(place: Place): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const deadline = Date.now() + patienceMilliseconds[signal];
    for (const pid of findPrograms(place)) signalIfThere(pid, signal);
    while (findPrograms(place).length > 0 && Date.now() < deadline) await Bun.sleep(5);
  }
}

/**
 * The demo's daemons, and the plugins that a demo which was killed had started: told from any other process by their
 * command line, which carries the ID, and by the namespace they are in; a process id kept in a file could be another's
 * by now.
 */
function findPrograms(place: Place): readonly number[] {
  const processes = listProcesses();
  return nodePlans().flatMap(({ name }) => {
    const daemon = daemonArgv(place, name).join("\0");
    const identity = findIdentity(netnsPath(netnsName(place, name)));
    // Where the namespace has lost its name, only the command line is left to tell by.
    return processes
      .filter(({ argv }) => argv.join("\0") === daemon || isPlugin(place, argv))
      .map((process) => process.pid)
      .filter((pid) => identity === undefined || findNetnsIdentityOf(pid) === identity);
  });
}

/** A plugin has no arguments. */
function isPlugin({ programs }: Place, argv: readonly string[]): boolean {
  return argv.length === 1 && argv[0]?.startsWith(`${programs}/`) === true;
}

function findIdentity(path: string): string | undefined {
  try {
    using netns = findNetns(path);
    return netns?.identity;
  } catch (error) {
    if (error instanceof NotANamespaceError) return undefined;
    throw error;
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended between the look and the signal; the caller looks again.
  }
}
