import { Decoder, DecodeError, isJsonObject, type JsonObject, parseJson } from "../../src/base/decode.ts";
import { CniError } from "../../src/cni/error.ts";
import { decodeResult } from "../../src/cni/result.ts";
import { isCniVersion } from "../../src/cni/version.ts";

/** What a plugin did with an input. */
export interface FuzzRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Words of JavaScript's own errors, which show that something was not checked. */
const foreignWords =
  /is not (?:a function|an object|iterable|defined|a constructor|extensible)|undefined is not|null is not|Cannot convert (?:undefined|null)|Maximum call stack|Invalid (?:array|string) length|Out of memory|RangeError|TypeError/;

/** What is wrong with the answer; undefined when nothing is. */
export function findFault(command: string | undefined, run: FuzzRun): string | undefined {
  if (/^ +at /m.test(run.stderr)) return "there is a stack trace on stderr";
  if (run.exitCode === 1) return faultOfError(run.stdout);
  if (run.exitCode !== 0) return `it ended with ${run.exitCode}`;
  if (command === "VERSION") return findObject(run.stdout) === undefined ? "VERSION printed no object" : undefined;
  if (command === "ADD") return faultOfResult(run.stdout);
  return run.stdout === "" ? undefined : "something was printed where nothing has to be";
}

function faultOfError(stdout: string): string | undefined {
  const object = findObject(stdout);
  if (object === undefined) return "it failed without an error object";
  const { cniVersion, code, msg, details, ...more } = object;
  if (typeof cniVersion !== "string" || !isCniVersion(cniVersion)) return "the error has no version";
  if (typeof code !== "number" || !Number.isInteger(code) || code < 1) return "the error has no code";
  if (typeof msg !== "string" || msg === "") return "the error has no message";
  if (details !== undefined && typeof details !== "string") return "the error's details are no text";
  if (Object.keys(more).length > 0) return `the error has members of no meaning: ${Object.keys(more).join(", ")}`;
  return foreignWords.test(msg) ? "the error is JavaScript's own" : undefined;
}

function faultOfResult(stdout: string): string | undefined {
  const object = findObject(stdout);
  if (object === undefined) return "ADD succeeded without a result";
  const version = object["cniVersion"];
  if (typeof version !== "string" || !isCniVersion(version)) return "the result has no version";
  try {
    decodeResult(new Decoder(object), version);
    return undefined;
  } catch (error) {
    if (!(error instanceof DecodeError) && !(error instanceof CniError)) throw error;
    return `the result cannot be read: ${error.message}`;
  }
}

function findObject(text: string): JsonObject | undefined {
  try {
    const value = parseJson(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
