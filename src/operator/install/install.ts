import { versionLine } from "../../base/version.ts";
import { findDirectoryFault, findEntry } from "../../sys/entry.ts";
import { ensureDirectory, findText } from "../../sys/file.ts";
import { listDirectory } from "../../sys/directory.ts";
import { lockFile } from "../../sys/lock.ts";
import { readPluginTypes } from "./conflist.ts";
import { conflistName, defaultPlaces, executableName, programNames, savedName } from "./layout.ts";
import { putList } from "./list.ts";
import { nodeFaults, readNodeFacts } from "./node-checks.ts";
import type { InstallOptions } from "./options.ts";
import { type InstallPlan, planInstall } from "./plan.ts";
import { readPresent } from "./present.ts";
import { installPrograms } from "./programs.ts";
import { findTarget, type NodeView } from "./target.ts";

/** This program, also when its file has been replaced since it was started. */
const ownExecutable = "/proc/self/exe";

/** Where the runtime looks, and where upstream's directories lie, these modes are usual. */
const directoryMode = 0o755;

/** Checks everything, then changes; `tell` gets a line for each thing worth knowing. Throws an Error for a refusal. */
export function install(options: InstallOptions, tell: (line: string) => void): void {
  checkNode(options.hostRoot, tell);
  const text = readConflist(options.conflist);
  const fault = options.part === "plugins" ? undefined : findDirectoryFault(options.netDirectory);
  if (fault !== undefined) throw new Error(`Cannot install into ${options.netDirectory}: ${fault}`);
  // A refusal leaves no directory behind that was not there; in one that is there, the lock comes first.
  if (findEntry(options.binDirectory) === undefined) checkPlugins(options, text, planPrograms(options));
  ensureDirectory(options.binDirectory, directoryMode);
  // Two installers at once would take each other's staged files; nothing is left of a lock on the directory itself.
  using lock = lockFile(options.binDirectory, directoryMode);
  void lock;
  const plan = planPrograms(options);
  checkPlugins(options, text, plan);
  if (options.part !== "conflist") {
    installPrograms(options.binDirectory, ownExecutable, plan);
    tellPrograms(options, plan, tell);
  }
  if (options.part !== "plugins") installConflist(options, text, tell);
}

function checkNode(hostRoot: string | undefined, tell: (line: string) => void): void {
  const { faults, doubts } = nodeFaults(readNodeFacts(hostRoot));
  for (const doubt of doubts) tell(`warning: ${doubt}`);
  if (faults.length > 0) throw new Error(`Cannot install on this node: ${faults.join("; ")}`);
}

function readConflist(path: string): string {
  const text = findText(path);
  if (text === undefined) {
    const hint = path === defaultPlaces.conflist ? "; --conflist FILE names another" : "";
    throw new Error(`Cannot read the configuration list ${path}: no such file${hint}`);
  }
  return text;
}

function planPrograms({ part, binDirectory, hostRoot, replace }: InstallOptions): InstallPlan {
  if (part === "conflist") return { copies: [], links: [], saved: [], broken: [], left: [] };
  return planInstall(readPresent({ binDirectory, hostRoot }, ownExecutable), replace);
}

/** Every plugin that the list names must be there, or be among those that are about to be. */
function checkPlugins({ conflist, ...view }: InstallOptions, text: string, plan: InstallPlan): void {
  const state = `Cannot install the configuration list ${conflist}`;
  let types: readonly string[];
  try {
    types = readPluginTypes(text);
  } catch (error) {
    throw new Error(`${state}: no runtime would take it`, { cause: error });
  }
  const planned = new Set([...plan.copies, ...plan.links]);
  const lacks = findLacks(
    types.filter((type) => !planned.has(type)),
    view,
  );
  if (lacks.length > 0) throw new Error(`${state}: it needs ${lacks.join("; and ")}`);
}

/** Which of these plugins cannot be executed on the node, in words. */
function findLacks(types: readonly string[], view: NodeView): readonly string[] {
  const targets = types.map((type) => ({ type, target: findTarget(type, view) }));
  const absent = targets.filter(({ target }) => target.kind === "nothing").map(({ type }) => type);
  const [own, others] = [absent.filter(isProgram), absent.filter((type) => !isProgram(type))];
  return [
    ...(own.length === 0 ? [] : [`${quoted(own)}, not there in ${view.binDirectory}: install the plugins first`]),
    ...(others.length === 0
      ? []
      : [`${quoted(others)}, not there in ${view.binDirectory} and not part of ${executableName}`]),
    ...targets.flatMap(({ type, target }) =>
      target.kind === "broken" ? [`"${type}", but ${view.binDirectory}/${type} ${target.reason}`] : [],
    ),
  ];
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}

function isProgram(name: string): boolean {
  return programNames.includes(name);
}

function installConflist({ netDirectory }: InstallOptions, text: string, tell: (line: string) => void): void {
  ensureDirectory(netDirectory, directoryMode);
  putList(netDirectory, text, tell);
  for (const name of earlierNames(netDirectory)) {
    tell(`warning: ${netDirectory}/${name} sorts before ${conflistName}: runtimes take that network, not this one`);
  }
}

/** Configurations that a runtime finds first (libcni, ConfFiles: sorted by name, these endings). */
function earlierNames(directory: string): readonly string[] {
  const names = (listDirectory(directory) ?? []).filter((name) => /\.(?:conf|conflist|json)$/.test(name));
  return names.filter((name) => !name.startsWith(".") && name < conflistName).toSorted();
}

function tellPrograms({ binDirectory }: InstallOptions, plan: InstallPlan, tell: (line: string) => void): void {
  const changed = [...plan.copies, ...plan.links];
  tell(
    changed.length === 0
      ? `${binDirectory} has ${versionLine} already`
      : `${versionLine} is in ${binDirectory}: ${changed.join(", ")}`,
  );
  for (const { name, reason } of plan.broken) tell(`${name} ${reason}: it is kept as ${savedName(name)}`);
  if (plan.left.length > 0) {
    const names = plan.left.join(",");
    tell(`left to somebody else in ${binDirectory}: ${plan.left.join(", ")} (--replace ${names} takes over)`);
  }
}
