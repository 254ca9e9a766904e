import { join } from "node:path";

import type { JsonObject } from "../../src/base/decode.ts";
import { type CniReply, callCni } from "./cni.ts";
import type { CniHost, TestPod } from "./cni-host.ts";

/** Runs a command that is about a network as a whole, GC or STATUS, of the plugin that the configuration names. */
export function callNetwork(host: CniHost, command: string, config: JsonObject, plugins?: string): Promise<CniReply> {
  const directory = plugins ?? host.plugins;
  const type = typeof config["type"] === "string" ? config["type"] : "";
  return callCni(host.netns, { plugin: join(directory, type), command, cniPath: directory, config });
}

/** Runs GC with the list of the attachments that are valid, as libcni writes it. */
export function collect(host: CniHost, config: JsonObject, pods: readonly TestPod[]): Promise<CniReply> {
  const list = pods.map(({ containerId }) => ({ containerID: containerId, ifname: "eth0" }));
  return callNetwork(host, "GC", {
    ...config,
    "cni.dev/valid-attachments": list,
    "cni.dev/attachments": list,
  });
}

/** How a call ended: `ok`, or the code and the message. */
export function outcome(reply: CniReply): string {
  return reply.exitCode === 0 ? `ok${reply.stdout}` : `${reply.error?.code} ${reply.error?.msg}`;
}
