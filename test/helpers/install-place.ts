import { expect } from "bun:test";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import type { CommandOptions, CommandResult } from "./command.ts";
import { runCommand } from "./command.ts";
import { executablePath } from "./executable.ts";
import { createTemporaryDirectory } from "./temp.ts";
import type { TemporaryDirectory } from "./temp.ts";

/** Upstream's stock configuration list, in short. */
export const stockList: string = JSON.stringify({
  name: "cbr0",
  cniVersion: "0.3.1",
  plugins: [{ type: "flannel", delegate: { isDefaultGateway: true } }, { type: "portmap" }],
});

/** What an installation puts into empty directories. */
export const installedNames: readonly string[] = [
  "bin/bridge -> tartan",
  "bin/flannel",
  "bin/host-local -> tartan",
  "bin/loopback -> tartan",
  "bin/portmap -> tartan",
  "bin/tartan",
  "net.d/.10-flannel.conflist.tartan-own",
  "net.d/10-flannel.conflist",
];

/** The names under which the installed executable is a plugin. */
const installedPlugins: readonly string[] = ["flannel", "bridge", "host-local", "portmap", "loopback"];

/** The directories of a node that an installation writes to, the test's own. */
export class InstallPlace implements AsyncDisposable {
  readonly directory: TemporaryDirectory;

  constructor(directory: TemporaryDirectory) {
    this.directory = directory;
  }

  get binDirectory(): string {
    return this.directory.join("bin");
  }

  get netDirectory(): string {
    return this.directory.join("net.d");
  }

  /** The path of a plugin. */
  plugin(name: string): string {
    return join(this.binDirectory, name);
  }

  /** Runs an installer, by default this build's. */
  install(
    words: readonly string[] = [],
    options: CommandOptions & { readonly executable?: string } = {},
  ): Promise<CommandResult> {
    const places = ["--bin-dir", this.binDirectory, "--net-dir", this.netDirectory];
    return runCommand([options.executable ?? executablePath, "install-cni", ...places, ...words], options);
  }

  /** Like install, with this text as the configuration list. */
  async installList(text: string, words: readonly string[] = [], options: CommandOptions = {}): Promise<CommandResult> {
    const path = await this.directory.write("cni-conf.json", text);
    return await this.install(["--conflist", path, ...words], options);
  }

  /** What lies in both directories: names, targets of links, and what changes when a file is written or replaced. */
  async listing(): Promise<readonly string[]> {
    const { stdout } = await runCommand(
      ["find", "bin", "net.d", "-mindepth", "1", "-printf", "%P %y %m %i %T@ %s %l\\n"],
      { cwd: this.directory.path, exitCode: "any" },
    );
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .toSorted();
  }

  /** The names in both directories; a link with what it leads to. */
  async names(): Promise<readonly string[]> {
    const words = ["find", "bin", "net.d", "-mindepth", "1", "-printf", "%p %l\\n"];
    const { stdout } = await runCommand(words, { cwd: this.directory.path, exitCode: "any" });
    return stdout
      .split("\n")
      .map((line) => line.trim().replace(" ", " -> "))
      .filter((line) => line !== "")
      .toSorted();
  }

  /** What a plugin answers to VERSION: which of the two it is. */
  async about(name: string): Promise<string> {
    const { stderr } = await runCommand([this.plugin(name)], { env: { CNI_COMMAND: "" }, stdin: "" });
    return stderr.split("\n")[0] ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.directory[Symbol.asyncDispose]();
  }
}

/** Makes both directories' parent; the installer makes them. */
export async function createInstallPlace(): Promise<InstallPlace> {
  return new InstallPlace(await createTemporaryDirectory());
}

/**
 * Writes another release of the executable: it runs the same and differs in bytes that nothing reads, those of the
 * compilers' names.
 */
export async function writeOtherRelease(path: string): Promise<void> {
  const bytes = await readFile(executablePath);
  const at = bytes.lastIndexOf("GCC: (");
  if (at < 0) throw new Error("Cannot make another release: the executable does not name its compiler");
  bytes.write("gcc: (", at);
  await Bun.write(path, bytes);
  await runCommand(["chmod", "0755", path]);
}

/** Fails unless each of these plugins is this executable. */
export async function expectInstalled(place: InstallPlace, names: readonly string[] = installedPlugins): Promise<void> {
  for (const name of names) expect(await place.about(name)).toMatch(/ of tartan \d/);
}

/** True when two files hold the same. */
export async function sameBytes(first: string, second: string): Promise<boolean> {
  const { exitCode } = await runCommand(["cmp", "--silent", first, second], { exitCode: "any" });
  return exitCode === 0;
}

/** The number of the file behind a name. */
export async function inodeOf(path: string): Promise<number> {
  return (await stat(path)).ino;
}
