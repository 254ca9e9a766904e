import type { BackgroundProcess } from "../helpers/background.ts";
import { startProcess } from "../helpers/background.ts";
import type { Kubectl } from "./kubectl.ts";
import type { PodState } from "./pods.ts";

const columns = "NAME:.metadata.name,NODE:.spec.nodeName,ADDRESS:.status.podIP,PHASE:.status.phase";

/** What the API server tells of the pods, from now on and as it happens. */
export class PodWatch implements AsyncDisposable {
  readonly #process: BackgroundProcess;
  readonly #running = new Map<string, PodState>();
  #read = 0;

  constructor(kubectl: Kubectl) {
    const words = ["get", "pods", "--watch", "--no-headers", "--output", `custom-columns=${columns}`];
    this.#process = startProcess(kubectl.argv(words));
  }

  /** The pods that are seen to run for the first time. */
  newlyRunning(): readonly PodState[] {
    const end = this.#process.stdout.lastIndexOf("\n") + 1;
    const lines = this.#process.stdout.slice(this.#read, end).split("\n");
    this.#read = end;
    const fresh = lines.flatMap((line) => {
      const [name = "", node = "", address = "", phase = ""] = line.trim().split(/\s+/);
      const known = phase !== "Running" || this.#running.has(name);
      return known ? [] : [{ name, node, address, phase }];
    });
    for (const pod of fresh) this.#running.set(pod.name, pod);
    return fresh;
  }

  /** Hands each pod to `work` in the moment in which it is seen to run, until so many have run. */
  async untilRunning(count: number, work: (pod: PodState) => Promise<void>, timeoutMs: number): Promise<void> {
    let seen = 0;
    await this.#process.waitUntil(
      `${count} pods run`,
      async () => {
        const fresh = this.newlyRunning();
        await Promise.all(fresh.map(work));
        seen += fresh.length;
        return seen >= count;
      },
      timeoutMs,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
