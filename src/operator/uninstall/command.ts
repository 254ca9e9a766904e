import { listDirectory } from "../../sys/directory.ts";
import { removeFile } from "../../sys/file.ts";
import { findNetnsIdentityOf, listProcesses } from "../../sys/process.ts";
import { standardStream, writeStream } from "../../sys/output.ts";
import { removeTree } from "../../sys/tree.ts";
import { uninstallFiles } from "../install/uninstall.ts";
import { parseUninstallOptions, uninstallUsage } from "./options.ts";
import { removeAllRules, removeDaemonRules, removeStaleRules } from "./rules.ts";

/** What the daemon keeps in its state directory (sources/kube/cache.ts). */
const stateFiles = ["kube-nodes"];

const daemonName = "flanneld";

/** `tartan uninstall`; returns the exit code. Throws a UsageError, or an Error that says what could not be removed. */
export function uninstallCommand(args: readonly string[]): number {
  const request = parseUninstallOptions(args);
  if (request.kind === "help") {
    writeStream(standardStream.output, uninstallUsage);
    return 0;
  }
  if (process.geteuid?.() !== 0) {
    throw new Error("Cannot uninstall: it removes system files and rules in nf_tables, which only root may do");
  }
  if (request.kind === "everything") {
    const { movedAway } = uninstallFiles(request, tell);
    removeState(request.stateDirectory);
    // Another flannel may have its rules under the same names, and its subnet file in the same place.
    if (!movedAway) {
      for (const line of removeDaemonRules()) tell(line);
      removeSubnetFile(request.subnetFile);
    }
  }
  for (const line of request.all ? removeAllRules() : removeStaleRules()) tell(line);
  return 0;
}

/** The directory may hold more, such as leases: those are somebody's data. */
function removeState(directory: string): void {
  for (const name of stateFiles) if (removeFile(`${directory}/${name}`)) tell(`removed ${directory}/${name}`);
  if (listDirectory(directory)?.length === 0) removeTree(directory);
}

/** Every flannel writes the same, and only at its start: one that runs would be without it until then. */
function removeSubnetFile(path: string): void {
  const daemon = findDaemon();
  if (daemon !== undefined) {
    tell(`process ${daemon} is a ${daemonName} of this node: ${path} stays`);
    tell(`warning: process ${daemon} brings its rules back: stop it first, then run this again`);
  } else if (removeFile(path)) tell(`removed ${path}`);
}

/** The process that is a flannel daemon, ours or upstream's, in this network. */
function findDaemon(): number | undefined {
  const here = findNetnsIdentityOf(process.pid);
  // Ours may be `tartan flanneld`.
  const named = listProcesses().filter(({ argv }) => argv.slice(0, 2).some((word) => /(?:^|\/)flanneld$/.test(word)));
  return named.find(({ pid }) => findNetnsIdentityOf(pid) === here)?.pid;
}

function tell(line: string): void {
  writeStream(standardStream.output, `${line}\n`);
}
