import type { BackgroundProcess } from "../helpers/background.ts";
import type { RealNode } from "./cluster-node.ts";

/** tcpdump on one device of a node. */
export class Capture implements AsyncDisposable {
  readonly #process: BackgroundProcess;

  constructor(process: BackgroundProcess) {
    this.#process = process;
  }

  /** Waits until what it has shown matches each pattern, and returns it. */
  async shows(...patterns: readonly RegExp[]): Promise<string> {
    await this.#process.waitUntil(`tcpdump shows ${patterns.map(String).join(" and ")}`, () =>
      patterns.every((pattern) => pattern.test(this.#process.stdout)),
    );
    return this.#process.stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** Starts tcpdump and waits until it listens. */
export async function startCapture(node: RealNode, device: string, filter: string): Promise<Capture> {
  const process = node.start(["tcpdump", "-l", "-n", "-v", "--immediate-mode", "-i", device, ...filter.split(" ")]);
  try {
    await process.waitUntil("tcpdump listens", () => process.stderr.includes("listening on"));
  } catch (error) {
    await process[Symbol.asyncDispose]();
    throw error;
  }
  return new Capture(process);
}
