/** Applies plans in the plugins' directory: every name changes at once, from what it was to what it shall be. */
import { copyFile, renameFile } from "../../sys/copy.ts";
import { findEntry } from "../../sys/entry.ts";
import { linkFile, removeFile } from "../../sys/file.ts";
import { syncFile } from "../../sys/sync.ts";
import { makeSymbolicLink } from "../../sys/tree.ts";
import { executableName, programNames, savedName, stagedName } from "./layout.ts";
import type { InstallPlan, RemovalPlan } from "./plan.ts";

/**
 * All that takes space is made under other names first: an error up to then has changed nothing. Programs that run keep
 * the file they were started from.
 */
export function installPrograms(directory: string, executable: string, plan: InstallPlan): void {
  // What a killed installation has left.
  for (const name of programNames) removeFile(`${directory}/${stagedName(name)}`);
  const staged = [...plan.copies, ...plan.links];
  if (staged.length === 0) return;
  try {
    for (const name of plan.copies) stageCopy(name, { directory, executable, plan });
    for (const name of plan.links) makeSymbolicLink(executableName, `${directory}/${stagedName(name)}`);
    for (const name of plan.saved) keepBeside(`${directory}/${name}`, `${directory}/${savedName(name)}`);
    for (const name of staged) renameFile(`${directory}/${stagedName(name)}`, `${directory}/${name}`);
  } catch (error) {
    for (const name of staged) removeFile(`${directory}/${stagedName(name)}`);
    throw new Error(`Cannot put ${staged.join(", ")} into ${directory}`, { cause: error });
  }
  syncFile(directory);
}

/** Removes what is ours and puts back what was there before. */
export function removePrograms(directory: string, plan: RemovalPlan): void {
  for (const name of plan.restored) renameFile(`${directory}/${savedName(name)}`, `${directory}/${name}`);
  for (const name of [...plan.removed, ...plan.dropped]) removeFile(`${directory}/${name}`);
  syncFile(directory);
}

/** The names that only an installer of ours gives. */
export function hiddenNames(names: readonly string[]): ReadonlySet<string> {
  const all = programNames.flatMap((name) => [stagedName(name), savedName(name)]);
  return new Set(all.filter((name) => names.includes(name)));
}

interface Staging {
  readonly directory: string;
  readonly executable: string;
  readonly plan: InstallPlan;
}

/** From a copy in the same directory where there is one: there the file system may be able to share the blocks. */
function stageCopy(name: string, { directory, executable, plan }: Staging): void {
  const beside = plan.copies.includes(executableName) ? stagedName(executableName) : executableName;
  const source = name === executableName ? executable : `${directory}/${beside}`;
  copyFile(source, `${directory}/${stagedName(name)}`, 0o755);
}

/** Gives what has a name a second one, so that the first never lacks it. */
export function keepBeside(path: string, name: string): void {
  removeFile(name);
  const entry = findEntry(path);
  // Of a link of another user the kernel allows no second name (fs.protected_hardlinks).
  if (entry?.kind === "link") makeSymbolicLink(entry.target, name);
  else linkFile(path, name);
}
