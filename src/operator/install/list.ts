/** The configuration list in its directory: what is ours there, what was there before, and how each is told. */
import { findEntry } from "../../sys/entry.ts";
import { renameFile } from "../../sys/copy.ts";
import { createFile, findText, removeFile } from "../../sys/file.ts";
import { syncFile } from "../../sys/sync.ts";
import { conflistName, recordName, savedName, stagedName } from "./layout.ts";
import { keepBeside } from "./programs.ts";

/** The names of one list; runtimes read the first alone. */
interface ListFiles {
  readonly directory: string;
  readonly path: string;
  readonly staged: string;
  /** What somebody else had there. */
  readonly saved: string;
  /** The text that we have written last: a list that holds another is not ours, or not any more. */
  readonly record: string;
  readonly stagedRecord: string;
}

/**
 * Puts the list in place. One that holds the same stays, and stays whose it is; another one that is not ours is kept
 * beside it. A file that is as it shall be is not written again: runtimes read the directory anew at each change.
 */
export function putList(directory: string, text: string, tell: (line: string) => void): void {
  const files = filesIn(directory);
  settle(files);
  const { path, staged, saved, record, stagedRecord } = files;
  const current = findText(path);
  if (current === text) {
    tell(`${path} is as it shall be`);
    return;
  }
  try {
    for (const name of [stagedRecord, staged]) {
      createFile(name, text, 0o644);
      syncFile(name);
    }
    if (findEntry(path) !== undefined && (current === undefined || current !== findText(record))) {
      keepBeside(path, saved);
      tell(`what was ${path} is kept as ${savedName(conflistName)}`);
    }
    renameFile(staged, path);
    renameFile(stagedRecord, record);
  } catch (error) {
    settle(files);
    throw new Error(`Cannot put ${path} in place`, { cause: error });
  }
  syncFile(directory);
  tell(`${path} is in place`);
}

/** Takes out the list where it is what we have written, and puts back what was there before. */
export function removeList(directory: string, tell: (line: string) => void): void {
  const files = filesIn(directory);
  const { path, saved, record } = files;
  let changed = settle(files);
  const text = findText(record);
  const there = findEntry(path) !== undefined;
  const isOurs = there && text !== undefined && findText(path) === text;
  const wasSaved = findEntry(saved) !== undefined;
  if (there && !isOurs) {
    const before = text !== undefined && wasSaved ? `; what it replaced is ${saved}` : "";
    tell(`${path} is not as an installation has put it there: it stays${before}`);
  } else if (wasSaved) {
    renameFile(saved, path);
    tell(`put back as before: ${path}`);
    changed = true;
  } else if (isOurs) {
    changed = removeFile(path);
    tell(`removed ${path}`);
  }
  if (removeFile(record) || changed) syncFile(directory);
}

/** Removes what only we know of: the list itself is in somebody else's use. */
export function leaveList(directory: string): void {
  const files = filesIn(directory);
  settle(files);
  for (const name of [files.record, files.saved]) removeFile(name);
}

function filesIn(directory: string): ListFiles {
  const record = recordName(conflistName);
  return {
    directory,
    path: `${directory}/${conflistName}`,
    staged: `${directory}/${stagedName(conflistName)}`,
    saved: `${directory}/${savedName(conflistName)}`,
    record: `${directory}/${record}`,
    stagedRecord: `${directory}/${stagedName(record.slice(1))}`,
  };
}

/** Brings to an end what a killed installation has left, or undoes it; true when there was anything. */
function settle({ path, staged, record, stagedRecord }: ListFiles): boolean {
  const half = removeFile(staged);
  const text = findText(stagedRecord);
  if (text === undefined) return half;
  // The list is ours from the moment on at which it has its name.
  if (!half && findText(path) === text) renameFile(stagedRecord, record);
  else removeFile(stagedRecord);
  return true;
}
