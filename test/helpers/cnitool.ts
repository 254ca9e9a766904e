import type { JsonObject } from "../../src/base/decode.ts";
import { pluginDirectory } from "./cni-node.ts";
import type { CommandResult } from "./command.ts";
import type { TestNetns } from "./netns.ts";
import type { TestNode } from "./node.ts";
import { peerProgram } from "./peers.ts";

/** A verb of cnitool. */
export type CnitoolVerb = "add" | "check" | "del" | "gc" | "status";

/** What a runtime may tell a plugin of one pod. */
export interface CnitoolOptions {
  /** CNI_ARGS. */
  readonly args?: string;
  /** What the runtime gives for each capability; a plugin gets those that its entry declares. */
  readonly capabilities?: JsonObject;
}

/** Runs cnitool on a node, which has to succeed, for the pod of this namespace and the network `cbr0`. */
export function cnitool(
  node: TestNode,
  verb: CnitoolVerb,
  pod: TestNetns,
  options: CnitoolOptions = {},
): Promise<CommandResult> {
  return run(node, verb, pod, options, 0);
}

/** Runs cnitool as cnitool() does; it has to fail. The error that it prints. */
export async function failingCnitool(
  node: TestNode,
  verb: CnitoolVerb,
  pod: TestNetns,
  options: CnitoolOptions = {},
): Promise<string> {
  const { stderr } = await run(node, verb, pod, options, 1);
  return stderr;
}

function run(
  node: TestNode,
  verb: CnitoolVerb,
  pod: TestNetns,
  { args, capabilities }: CnitoolOptions,
  exitCode: number,
): Promise<CommandResult> {
  const env = {
    CNI_PATH: pluginDirectory,
    ...(args === undefined ? {} : { CNI_ARGS: args }),
    ...(capabilities === undefined ? {} : { CAP_ARGS: JSON.stringify(capabilities) }),
  };
  return node.run([peerProgram("cnitool", "cnitool"), verb, "cbr0", pod.path], { env, exitCode });
}
