import { existsSync, statfsSync } from "node:fs";

import { runCommand } from "./command.ts";
import type { CommandOptions, CommandResult } from "./command.ts";
import { startProcess } from "./background.ts";
import type { BackgroundOptions, BackgroundProcess } from "./background.ts";
import { uniqueName } from "./run-id.ts";

/** How a namespace begins. */
export interface NetnsOptions {
  /** Sets `lo` up; as the kernel makes a namespace, it is down. */
  readonly loopbackUp?: boolean;
}

/**
 * A network namespace of the test's own, with a name, removed when it goes out of scope. Programs run inside it; the
 * test process itself never changes its namespace.
 */
export class TestNetns implements AsyncDisposable {
  readonly name: string;
  readonly path: string;

  constructor(name: string) {
    this.name = name;
    this.path = `/run/netns/${name}`;
  }

  /** The words that run a command inside. */
  argv(command: readonly string[]): readonly string[] {
    return ["ip", "netns", "exec", this.name, ...command];
  }

  /** Runs a program inside to its end. */
  run(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(this.argv(command), options);
  }

  /** Starts a program inside that goes on running. */
  start(command: readonly string[], options: BackgroundOptions = {}): BackgroundProcess {
    return startProcess(this.argv(command), options);
  }

  /** Runs one `ip` command inside. Like: ip -n NAME … */
  ip(...words: readonly string[]): Promise<CommandResult> {
    return runCommand(["ip", "-n", this.name, ...words]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  /** Removes it before its scope ends, as a runtime does that loses a pod; safe to repeat. */
  async remove(): Promise<void> {
    const { exitCode, stderr } = await runCommand(["ip", "netns", "delete", this.name], { exitCode: "any" });
    if (exitCode !== 0 && !stderr.includes("No such file or directory")) {
      throw new Error(`Cannot remove network namespace "${this.name}": ${stderr.trim()}`);
    }
  }
}

/** Makes a network namespace with a random name that carries the run's id. */
export async function createNetns(options: NetnsOptions = {}): Promise<TestNetns> {
  const netns = new TestNetns(uniqueName());
  await runCommand(["ip", "netns", "add", netns.name]);
  if (options.loopbackUp === true) await netns.ip("link", "set", "lo", "up");
  return netns;
}

/** The file exists a moment before the namespace is mounted on it. */
export function isNamespace(path: string): boolean {
  const nsfsMagic = 0x6e_73_66_73;
  return existsSync(path) && statfsSync(path).type === nsfsMagic;
}
