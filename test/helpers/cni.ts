import { Decoder, isJsonObject, parseJson } from "../../src/base/decode.ts";
import type { JsonObject } from "../../src/base/decode.ts";
import { quoteArgv } from "./command.ts";
import type { TestNetns } from "./netns.ts";

/** One start of a CNI plugin: the environment and the configuration a runtime gives it. */
export interface CniCall {
  /** The plugin's program. */
  readonly plugin: string;
  readonly command: string;
  readonly containerId?: string;
  /** The path of the pod's namespace. */
  readonly netns?: string;
  readonly ifname?: string;
  /** Where the plugin finds the plugins that it calls itself. */
  readonly cniPath?: string;
  readonly args?: string;
  /** What the plugin reads on stdin; text is handed on as it is. */
  readonly config: JsonObject | string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** An error object as a plugin prints it. */
interface CniErrorReply {
  readonly code: number;
  readonly msg: string;
  readonly details: string | undefined;
}

/** What a plugin answered: a result or an error, neither when it rightly printed nothing. */
export interface CniReply {
  readonly exitCode: number;
  readonly result: JsonObject | undefined;
  readonly error: CniErrorReply | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const defaultTimeoutMs = 20_000;

/** Runs a plugin inside the host's namespace, as the runtime of that host would. */
export async function callCni(host: Pick<TestNetns, "run">, call: CniCall): Promise<CniReply> {
  const stdin = typeof call.config === "string" ? call.config : JSON.stringify(call.config);
  // Of the surroundings nothing but PATH is let in: a plugin must do with what the runtime gives it.
  const variables = { PATH: process.env["PATH"] ?? "", ...cniVariables(call), ...call.env };
  const words = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const { exitCode, stdout, stderr } = await host.run(["env", "-i", ...words, call.plugin], {
    stdin,
    timeoutMs: call.timeoutMs ?? defaultTimeoutMs,
    exitCode: "any",
  });
  return { exitCode, ...decodeReply(exitCode, stdout, call), stdout, stderr };
}

/** Runs a plugin that has to succeed and returns its reply. Throws with all that the plugin wrote when it does not. */
export async function expectCni(host: TestNetns, call: CniCall): Promise<CniReply> {
  const reply = await callCni(host, call);
  if (reply.exitCode === 0) return reply;
  const config = typeof call.config === "string" ? call.config : JSON.stringify(call.config);
  throw new Error(
    `Cannot run ${quoteArgv([call.plugin])} ${call.command}: exit code ${reply.exitCode}\n` +
      `--- stdin\n${config}\n--- stdout\n${reply.stdout.trimEnd()}\n--- stderr\n${reply.stderr.trimEnd()}`,
  );
}

/** The addresses of a result with the lengths of their prefixes, in the result's order. */
export function resultAddresses(reply: CniReply): readonly string[] {
  const result = new Decoder(reply.result);
  return result
    .field("ips")
    .list()
    .map((ip) => ip.field("address").string() ?? "");
}

function cniVariables(call: CniCall): Readonly<Record<string, string>> {
  const variables: Readonly<Record<string, string | undefined>> = {
    CNI_COMMAND: call.command,
    CNI_CONTAINERID: call.containerId,
    CNI_NETNS: call.netns,
    CNI_IFNAME: call.ifname,
    CNI_PATH: call.cniPath,
    CNI_ARGS: call.args,
  };
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) if (value !== undefined) given[name] = value;
  return given;
}

function decodeReply(exitCode: number, stdout: string, call: CniCall): Pick<CniReply, "result" | "error"> {
  if (stdout.trim() === "") return { result: undefined, error: undefined };
  let value;
  try {
    value = parseJson(stdout);
  } catch (cause) {
    throw new Error(`Cannot read what ${call.plugin} ${call.command} printed: ${stdout}`, { cause });
  }
  if (!isJsonObject(value)) throw new Error(`Cannot read what ${call.plugin} printed: not an object: ${stdout}`);
  if (exitCode === 0) return { result: value, error: undefined };
  const reply = new Decoder(value);
  const code = reply.field("code");
  const msg = reply.field("msg");
  const error = {
    code: code.integer() ?? code.fail("a number"),
    msg: msg.string() ?? msg.fail("a string"),
    details: reply.field("details").string(),
  };
  return { result: undefined, error };
}
