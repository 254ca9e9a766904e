import { Decoder, isJsonObject, type JsonObject, parseJson } from "../../src/base/decode.ts";
import { dispatch } from "../../src/cni/dispatch.ts";
import type { Environment } from "../../src/cni/environment.ts";
import type { CniPlugin } from "../../src/cni/plugin.ts";

/** What a plugin did of its process. */
export interface PluginRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A call in this process: no program is started, and nothing else is different. */
export interface PluginCall {
  readonly plugin: string;
  readonly plugins: ReadonlyMap<string, CniPlugin>;
  readonly environment: Environment;
  /** Text is handed on as it is; a function is called when stdin is read. */
  readonly stdin: JsonObject | string | (() => string);
}

/** Runs a plugin through dispatch() with streams of the test's own. Throws when it does not end exactly once. */
export function runPluginHere(call: PluginCall): PluginRun {
  const { stdin } = call;
  const exitCodes: number[] = [];
  let stdout = "";
  let stderr = "";
  dispatch(call.plugin, call.plugins, {
    environment: call.environment,
    readStdin: () =>
      typeof stdin === "function" ? stdin() : typeof stdin === "string" ? stdin : JSON.stringify(stdin),
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      stderr += text;
    },
    exit: (code) => {
      exitCodes.push(code);
    },
  });
  const [exitCode, ...more] = exitCodes;
  if (exitCode === undefined || more.length > 0) throw new Error(`Cannot tell how it ended: exits ${exitCodes.join()}`);
  return { exitCode, stdout, stderr };
}

/** The error of a run as `code msg | details`, or `none` when it succeeded. */
export function errorLine(run: PluginRun): string {
  if (run.exitCode === 0) return "none";
  const error = new Decoder(parseJson(run.stdout));
  const details = error.field("details").string();
  return `${error.field("code").integer()} ${error.field("msg").string()}${details === undefined ? "" : ` | ${details}`}`;
}

/** The object that a run has printed. */
export function printed(run: PluginRun): JsonObject {
  const value = parseJson(run.stdout);
  if (!isJsonObject(value)) throw new Error(`Cannot read what the plugin printed: ${run.stdout}`);
  return value;
}
