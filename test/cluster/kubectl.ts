import { Decoder, parseJson } from "../../src/base/decode.ts";
import { runCommand } from "../helpers/command.ts";
import type { CommandOptions, CommandResult } from "../helpers/command.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { peerProgram } from "../helpers/peers.ts";
import type { TemporaryDirectory } from "../helpers/temp.ts";

/** What kubectl takes of an object that a test makes. */
export type Manifest = Readonly<Record<string, unknown>>;

/** kubectl as the cluster's administrator, in the network namespace of the control plane. */
export class Kubectl {
  readonly #netns: TestNetns;
  readonly #kubeconfig: string;
  readonly #directory: TemporaryDirectory;

  constructor(netns: TestNetns, kubeconfig: string, directory: TemporaryDirectory) {
    this.#netns = netns;
    this.#kubeconfig = kubeconfig;
    this.#directory = directory;
  }

  /** The words that run it, for a person or for a process beside the test. */
  argv(words: readonly string[]): readonly string[] {
    const kubectl = [peerProgram("kubernetes", "kubectl"), "--kubeconfig", this.#kubeconfig];
    return this.#netns.argv([...kubectl, "--cache-dir", this.#directory.join("kubectl-cache"), ...words]);
  }

  /** Runs it to its end. */
  run(words: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(this.argv(words), { timeoutMs: 120_000, ...options });
  }

  /** What it writes. */
  async text(words: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { stdout } = await this.run(words, options);
    return stdout.trim();
  }

  /** An object or a list of objects as the API server has it. */
  async get(...words: readonly string[]): Promise<Decoder> {
    const { stdout } = await this.run(["get", "-o", "json", ...words]);
    return new Decoder(parseJson(stdout));
  }

  /** Applies objects as a user does with a file. */
  async apply(...objects: readonly Manifest[]): Promise<void> {
    await this.applyText(JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
  }

  /** Applies a file's text; a field that the API server does not know is an error. */
  async applyText(text: string): Promise<string> {
    return await this.text(["apply", "--validate=strict", "-f", "-"], { stdin: text });
  }

  /** True when the API server says that it is ready. */
  async answers(): Promise<boolean> {
    const { exitCode } = await this.run(["get", "--raw", "/readyz", "--request-timeout=2s"], { exitCode: "any" });
    return exitCode === 0;
  }
}
