/** Runs one plugin for one process, as the reference's skeleton does (cni, pkg/skel). Only here a plugin's process ends. */
import type { Decoder } from "../base/decode.ts";
import { errorText } from "../base/error.ts";
import { commit, version } from "../base/version.ts";
import { decodeText, encodeText } from "../base/text.ts";
import { SyscallError } from "../sys/errno.ts";
import { Fd } from "../sys/fd.ts";
import { readAll, writeAll } from "../sys/file.ts";
import { findNetns, NotANamespaceError, ownNetnsIdentity } from "../sys/netns.ts";
import { CniArgs } from "./args.ts";
import { configVersion, decodeConfig, parseConfig } from "./config.ts";
import { type CniEnvironment, type Environment, readEnvironment } from "./environment.ts";
import { CniError, cniCode, encodeError, toCniError } from "./error.ts";
import { decodeValidAttachments } from "./attachments.ts";
import type { CniNetworkRequest, CniPlugin, CniRequest } from "./plugin.ts";
import { encodeResult } from "./result-encode.ts";
import { cniVersions, isCniVersion, newestVersion, versionAnswer } from "./version.ts";
import { checkVerbVersion } from "./version-check.ts";

/** What a plugin has of its process; a test hands in its own. */
export interface PluginProcess {
  readonly environment: Environment;
  /** The whole of stdin. Throws a SyscallError. */
  readStdin(): string;
  writeStdout(text: string): void;
  writeStderr(text: string): void;
  exit(code: number): void;
}

type Plugins = ReadonlyMap<string, CniPlugin>;

/** The plugin's own process. */
export function ownProcess(): PluginProcess {
  return {
    environment: process.env,
    readStdin: () => decodeText(readAll(new Fd(0), "stdin")),
    writeStdout: (text) => writeAll(new Fd(1), encodeText(text), "stdout"),
    writeStderr: (text) => writeAll(new Fd(2), encodeText(text), "stderr"),
    exit: (code) => process.exit(code),
  };
}

/**
 * Runs the plugin of this name: environment and stdin in, a result or an error object out, then the exit. The others are
 * those that it can call in this process.
 */
export function dispatch(name: string, plugins: Plugins, own: PluginProcess): void {
  own.exit(run(name, plugins, own));
}

/** The exit code. Whatever is thrown becomes an error object, in the configuration's version where it is known. */
function run(name: string, plugins: Plugins, own: PluginProcess): number {
  let document: Decoder | undefined;
  try {
    const plugin = plugins.get(name);
    if (plugin === undefined) throw new CniError(cniCode.notBuilt, `plugin "${name}" is not built yet`);
    if ((own.environment["CNI_COMMAND"] ?? "") === "") {
      own.writeStderr(
        `${plugin.about} ${version} (${commit})\nCNI protocol versions supported: ${cniVersions.join(", ")}\n`,
      );
      return 0;
    }
    const environment = readEnvironment(own.environment);
    if (environment.command === "VERSION") {
      own.writeStdout(`${versionAnswer}\n`);
      return 0;
    }
    document = parseConfig(readStdin(own));
    answer(plugin, { plugins, own, environment, document });
    return 0;
  } catch (error) {
    printError(own, toCniError(error), document);
    return 1;
  }
}

interface Call {
  readonly plugins: Plugins;
  readonly own: PluginProcess;
  readonly environment: CniEnvironment;
  readonly document: Decoder;
}

function answer(plugin: CniPlugin, call: Call): void {
  const { command } = call.environment;
  switch (command) {
    case "ADD":
      add(plugin, decodeRequest(command, call), call);
      return;
    case "DEL":
      remove(plugin, decodeRequest(command, call), call);
      return;
    case "CHECK":
      checkVerbVersion(command, configVersion(call.document));
      plugin.check(decodeRequest(command, call));
      return;
    case "GC":
      collect(plugin, call);
      return;
    case "STATUS":
      plugin.status(decodeNetworkRequest(command, call));
      return;
    default:
      throw new CniError(cniCode.invalidEnvironment, `unknown CNI_COMMAND: ${command}`);
  }
}

/** An attachment whose result cannot be told is taken back: the runtime will not know of it. */
function add(plugin: CniPlugin, request: CniRequest, { own, environment }: Call): void {
  // The reference looks only after the work is done; here nothing has been touched yet.
  if (isOwnNetns(environment)) throw ownNetnsError();
  const result = plugin.add(request);
  try {
    own.writeStdout(JSON.stringify(encodeResult(result, request.config.cniVersion), undefined, 4));
  } catch (error) {
    deleteQuietly(plugin, request);
    throw error;
  }
}

/**
 * Of a container whose path has become the host's namespace all is freed but what was inside, which went with its own
 * namespace: nobody, delegates included, is told the path. Then it is refused, as the reference does.
 */
function remove(plugin: CniPlugin, request: CniRequest, { environment }: Call): void {
  if (!isOwnNetns(environment)) {
    plugin.del(request);
    return;
  }
  plugin.del({ ...request, netns: "", environment: { ...request.environment, CNI_NETNS: "" } });
  throw ownNetnsError();
}

/** A list that is missing or wrong is told before anything is looked at. */
function collect(plugin: CniPlugin, call: Call): void {
  const request = decodeNetworkRequest("GC", call);
  plugin.gc({ ...request, valid: decodeValidAttachments(call.document) });
}

function decodeNetworkRequest(command: "GC" | "STATUS", call: Call): CniNetworkRequest {
  checkVerbVersion(command, configVersion(call.document));
  return { ...callOf(call), command };
}

function decodeRequest(command: CniRequest["command"], call: Call): CniRequest {
  const { containerId, netns, interfaceName, args } = call.environment;
  return { ...callOf(call), command, containerId, netns, interfaceName, args: new CniArgs(args) };
}

/** What requests of every verb have. Throws a CniError for a configuration without name or of an unknown version. */
function callOf({ plugins, own, environment, document }: Call): Omit<CniNetworkRequest, "command"> {
  return {
    path: environment.path,
    environment: own.environment,
    config: decodeConfig(document),
    builtIn: plugins,
    warn: (text) => own.writeStderr(`${text}\n`),
  };
}

/**
 * A stale `/proc/PID/ns/net` can be the host's when the process number was used again. A path that cannot be opened is not
 * the host's.
 */
function isOwnNetns({ netns: path, netnsOverride }: CniEnvironment): boolean {
  if (path === "" || netnsOverride) return false;
  try {
    using netns = findNetns(path);
    return netns?.identity === ownNetnsIdentity();
  } catch (error) {
    if (error instanceof NotANamespaceError || error instanceof SyscallError) return false;
    throw error;
  }
}

function ownNetnsError(): CniError {
  const message = "plugin's netns and netns from CNI_NETNS should not be the same";
  return new CniError(cniCode.invalidNetns, message);
}

function readStdin(own: PluginProcess): string {
  try {
    return own.readStdin();
  } catch (error) {
    throw new CniError(cniCode.ioFailure, "error reading from stdin", undefined, { cause: error });
  }
}

function deleteQuietly(plugin: CniPlugin, request: CniRequest): void {
  try {
    plugin.del({ ...request, command: "DEL" });
  } catch {
    // The failure before is what counts; the runtime's own DEL will try again.
  }
}

/** Where stdout is closed, stderr is left to say it on. */
function printError(own: PluginProcess, error: CniError, document: Decoder | undefined): void {
  try {
    own.writeStdout(JSON.stringify(encodeError(error, errorVersion(document)), undefined, 4));
  } catch (writeError) {
    own.writeStderr(`${errorText(error)}; ${errorText(writeError)}\n`);
  }
}

function errorVersion(document: Decoder | undefined): string {
  const written = document?.field("cniVersion").value;
  return typeof written === "string" && isCniVersion(written) ? written : newestVersion;
}
