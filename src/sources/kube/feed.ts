import { drawWait } from "../../base/back-off.ts";
import { errorText } from "../../base/error.ts";
import type { KubeApi } from "./api.ts";
import { askNodeName, type NodeIdentity } from "./node-name.ts";
import type { NodeDecoder } from "./node-record.ts";
import { pause } from "./pause.ts";
import type { WatchTiming } from "./timing.ts";
import { NodeWatch, type NodeWatchListener } from "./watch.ts";

/** What following the nodes takes. */
export interface NodeFeed {
  readonly api: KubeApi;
  readonly nodes: NodeDecoder;
  readonly identity: NodeIdentity;
  readonly timing: WatchTiming;
  readonly signal: AbortSignal;
}

/** Who follows: told of the node's name before anything else. */
export interface NodeFeedListener extends NodeWatchListener {
  named(name: string): void;
}

/** Learns this node's name, however long that takes, then lists and watches all nodes until the signal. */
export async function followNodes(feed: NodeFeed, listener: NodeFeedListener): Promise<never> {
  const { api, nodes, signal, timing } = feed;
  const own = await learnName(feed, listener);
  listener.named(own);
  return await new NodeWatch(api, { nodes, own }, { listener, timing, signal }).run();
}

async function learnName({ api, identity, timing, signal }: NodeFeed, listener: NodeFeedListener): Promise<string> {
  for (let wait = timing.firstRetryMs; ; wait = Math.min(wait * 2, timing.longestRetryMs)) {
    try {
      return await askNodeName(identity, api, signal);
    } catch (error) {
      signal.throwIfAborted();
      listener.lost(errorText(error));
    }
    await pause(drawWait(wait), signal);
  }
}
