import { Decoder, DecodeError, type JsonObject, parseJson } from "../base/decode.ts";
import { findProgram, runCommand, StartError } from "../sys/command.ts";
import { decodeConfig } from "./config.ts";
import { CniError, cniCode, toCniError } from "./error.ts";
import type { CniGcRequest, CniNetworkRequest, CniPlugin, CniRequest } from "./plugin.ts";
import { type CniResult, decodeResult } from "./result.ts";
import { isExhaustion, notAvailableUnless } from "./status.ts";
import type { CniVersion } from "./version.ts";

/**
 * Calls ADD of another plugin for the same attachment, with a configuration of its own: in this process when it is built
 * in, else as the program of that name on CNI_PATH. A failed ADD leaves nothing: a program is told to delete, as the
 * specification demands (CNI 1.1.0, section 4). Throws the plugin's error as it is, a CniError.
 */
export function delegateAdd(request: CniRequest, type: string, json: JsonObject): CniResult {
  const plugin = findBuiltIn(request, type, json);
  if (plugin !== undefined) return call(() => plugin.add(delegateRequest(request, "ADD", json)));
  const { cniVersion } = decodeConfig(new Decoder(json));
  const program = findDelegate(request, type);
  try {
    return decodeOutput(execute(request, { command: "ADD", program, json }), type, cniVersion);
  } catch (error) {
    deleteQuietly(request, program, json);
    throw error;
  }
}

/** Calls DEL of another plugin, as delegateAdd calls ADD. Throws the plugin's error as it is, a CniError. */
export function delegateDel(request: CniRequest, type: string, json: JsonObject): void {
  const plugin = findRemover(request, type, json);
  if (plugin === undefined) execute(request, { command: "DEL", program: findDelegate(request, type), json });
  else call(() => plugin.del(delegateRequest(request, "DEL", json)));
}

/** Calls CHECK of another plugin, as delegateAdd calls ADD. Throws the plugin's error as it is, a CniError. */
export function delegateCheck(request: CniRequest, type: string, json: JsonObject): void {
  const plugin = findBuiltIn(request, type, json);
  if (plugin === undefined) execute(request, { command: "CHECK", program: findDelegate(request, type), json });
  else call(() => plugin.check(delegateRequest(request, "CHECK", json)));
}

/** Calls GC of another plugin, as delegateAdd calls ADD; `json` has the valid attachments as they came. Throws a CniError. */
export function delegateGc(request: CniGcRequest, type: string, json: JsonObject): void {
  const plugin = findRemover(request, type, json);
  if (plugin === undefined) execute(request, { command: "GC", program: findDelegate(request, type), json });
  else call(() => plugin.gc({ ...request, config: decodeConfig(new Decoder(json)) }));
}

/**
 * Calls STATUS of another plugin, as delegateAdd calls ADD. Throws the plugin's error as it is, a CniError; code 50 when
 * there is no such plugin. That all addresses are taken is not passed on: the runtime would call the whole node not ready,
 * and the pods on it would be evicted, while ADD says it just as well to the one pod that is too many.
 */
export function delegateStatus(request: CniNetworkRequest, type: string, json: JsonObject): void {
  const plugin = notAvailableUnless(() => findBuiltIn(request, type, json));
  try {
    if (plugin === undefined) {
      const program = notAvailableUnless(() => findDelegate(request, type));
      execute(request, { command: "STATUS", program, json });
    } else {
      call(() => plugin.status({ ...request, config: decodeConfig(new Decoder(json)) }));
    }
  } catch (error) {
    if (error instanceof StartError) throw new CniError(cniCode.notAvailable, error.message);
    if (!isExhaustion(error)) throw error;
  }
}

/** True when there is a plugin of this type to be called. */
export function hasPlugin({ builtIn, path }: CniRequest, type: string): boolean {
  return builtIn.has(type) || (!type.includes("/") && findProgram(type, path) !== undefined);
}

/** `"inProcess": false` in the delegate's configuration, into which its caller copies its own, asks for the program. */
function findBuiltIn(
  { builtIn }: CniRequest | CniNetworkRequest,
  type: string,
  json: JsonObject,
): CniPlugin | undefined {
  return new Decoder(json).field("inProcess").boolean() === false ? undefined : builtIn.get(type);
}

/** Like findBuiltIn, but a value that no ADD would take counts as absent, since it cannot be the one that ADD had. */
function findRemover({ builtIn }: CniRequest | CniGcRequest, type: string, json: JsonObject): CniPlugin | undefined {
  return isExecuted(json) ? undefined : builtIn.get(type);
}

/** True when `"inProcess": false` asks for the program; whatever else stands there does not. */
export function isExecuted(json: JsonObject): boolean {
  return new Decoder(json).field("inProcess").value === false;
}

function delegateRequest(request: CniRequest, command: CniRequest["command"], json: JsonObject): CniRequest {
  return { ...request, command, config: decodeConfig(new Decoder(json)) };
}

/** Called in this process or executed, a plugin fails with the same error. */
function call<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toCniError(error);
  }
}

/** Throws an Error with the reference's text (cni, pkg/invoke: FindInPath). */
function findDelegate(request: CniRequest | CniNetworkRequest, type: string): string {
  if (type === "") throw new Error("no plugin name provided");
  if (type.includes("/")) throw new Error(`invalid plugin name: ${type}`);
  const program = findProgram(type, request.path);
  if (program === undefined) throw new Error(`failed to find plugin "${type}" in path [${request.path.join(" ")}]`);
  return program;
}

function decodeOutput(output: string, type: string, cniVersion: CniVersion): CniResult {
  try {
    return decodeResult(new Decoder(parseJson(output)), cniVersion);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const message = `Cannot decode the result of plugin "${type}"`;
    throw new CniError(cniCode.decodingFailure, message, undefined, { cause: error });
  }
}

interface Execution {
  readonly command: CniRequest["command"] | CniNetworkRequest["command"];
  readonly program: string;
  readonly json: JsonObject;
}

function execute(request: CniRequest | CniNetworkRequest, { command, program, json }: Execution): string {
  const env = { ...request.environment, CNI_COMMAND: command };
  const { status, stdout, stderr } = runCommand([program], { env, stdin: JSON.stringify(json) });
  if (status === 0) return stdout;
  throw decodeFailure(stdout, stderr, typeof status === "number" ? `exit status ${status}` : `signal ${status}`);
}

/** The error object that a plugin printed, or its words on stderr when it printed none (cni, pkg/invoke: pluginErr). */
function decodeFailure(stdout: string, stderr: string, status: string): CniError {
  if (stdout.trim() === "") {
    const words = stderr.trim();
    const said =
      words === "" ? `netplugin failed with no error message: ${status}` : `netplugin failed: "${words}": ${status}`;
    return new CniError(cniCode.internal, said);
  }
  try {
    const json = new Decoder(parseJson(stdout));
    const code = json.field("code").integer() ?? cniCode.internal;
    return new CniError(code, json.field("msg").string() ?? "", json.field("details").string());
  } catch (error) {
    const text = `netplugin failed but error parsing its diagnostic message ${JSON.stringify(stdout)}`;
    return new CniError(cniCode.internal, text, undefined, { cause: error });
  }
}

/** The failure of the ADD before is what counts. */
function deleteQuietly(request: CniRequest, program: string, json: JsonObject): void {
  try {
    execute(request, { command: "DEL", program, json });
  } catch {
    // Nothing more can be done; the runtime's own DEL will try again.
  }
}
