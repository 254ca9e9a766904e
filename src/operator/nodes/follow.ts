import { drawWait } from "../../base/back-off.ts";
import { pause } from "../../sources/kube/pause.ts";
import type { KubeApi } from "../../sources/kube/api.ts";
import type { CoreV1Api, V1Node } from "../../sources/kube/client.ts";
import { listNodes } from "./list.ts";

/** Changes that follow one another within so long are looked at together. */
const settleMs = 100;
const firstWaitMs = 1000;
const longestWaitMs = 30_000;

/** Who is told what becomes of the nodes. What these throw ends the following. */
export interface NodesFollower {
  /** All nodes as they are now: at first, and whenever something has changed. */
  show(nodes: readonly V1Node[]): void;
  /** What happens is not told, and for how long, in milliseconds, nobody will be asked. */
  lost(error: unknown, waitMs: number): void;
}

/** A way to a cluster: by the library, and what it goes by. */
export interface Client {
  readonly api: KubeApi;
  readonly core: CoreV1Api;
}

/** Follows a cluster's nodes by the library's informers. */
export class NodesFollowing {
  readonly #client: Client;
  readonly #follower: NodesFollower;
  readonly #signal: AbortSignal;
  #shown = false;

  constructor(client: Client, follower: NodesFollower, signal: AbortSignal) {
    this.#client = client;
    this.#follower = follower;
    this.#signal = signal;
  }

  /**
   * Runs until the signal, whose reason it rejects with. Where nodes cannot be listed at first, it rejects with why; after
   * that it lists them again after a wait, and what has changed meanwhile is shown.
   */
  async run(): Promise<never> {
    for (let longest = firstWaitMs; ; longest = Math.min(longest * 2, longestWaitMs)) {
      const begun = performance.now();
      const error = await this.#followOnce();
      this.#signal.throwIfAborted();
      if (!this.#shown) throw error;
      if (performance.now() - begun > longestWaitMs) longest = firstWaitMs;
      const waitMs = drawWait(longest);
      this.#follower.lost(error, waitMs);
      await pause(waitMs, this.#signal);
    }
  }

  /** Until it fails, and why. The next informer lists all anew: the server may have come back with an older store. */
  async #followOnce(): Promise<unknown> {
    const { openNodeInformer } = await import("../../sources/kube/client.ts");
    const { api, core } = this.#client;
    const informer = openNodeInformer(api, () => listNodes(core), this.#signal);
    const end = Promise.withResolvers<unknown>();
    let timer: NodeJS.Timeout | undefined;
    const look = (): void => {
      timer = undefined;
      try {
        this.#show(informer.list());
      } catch (error) {
        end.reject(error);
      }
    };
    informer.on("error", (error: unknown) => end.resolve(error));
    informer.on("change", () => (timer ??= setTimeout(look, settleMs)));
    try {
      await informer.start();
      // It has no version where the list has failed, of which it tells as of any failure.
      if (informer.latestResourceVersion() !== "") this.#show(informer.list());
      return await end.promise;
    } finally {
      clearTimeout(timer);
      await informer.stop();
    }
  }

  #show(nodes: readonly V1Node[]): void {
    this.#shown = true;
    this.#follower.show(nodes);
  }
}
