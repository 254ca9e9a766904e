/** Directory trees, for programs that a person runs: not on the plugin path, since node:fs costs time to load. */
import { mkdirSync, rmSync, symlinkSync } from "node:fs";

/** Makes one directory. Throws the system's error, also when the name is taken. Like: mkdir */
export function makeDirectory(path: string, mode: number): void {
  mkdirSync(path, { mode });
}

/** Removes a directory and all it holds, if it is there; symbolic links are removed, not followed. Like: rm -rf */
export function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** Like: ln -s TARGET PATH */
export function makeSymbolicLink(target: string, path: string): void {
  symlinkSync(target, path);
}
