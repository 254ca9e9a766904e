/**
 * What ADD keeps for the other verbs: the delegate's configuration, in `<dataDir>/<container id>`, as upstream writes and
 * reads it. There we add whose it is, in a member that delegates pass over. A further interface of the container has a
 * file of its own, `<container id>:<interface>`, a name that is no container's id, so that upstream never takes it for one.
 */
import { Decoder, DecodeError, type JsonObject, parseJson } from "../../base/decode.ts";
import { isCniName } from "../../cni/environment.ts";
import { runAll } from "../../base/run-all.ts";
import { SyscallError } from "../../sys/errno.ts";
import { ensureDirectory, findText, removeFile, replaceFile } from "../../sys/file.ts";
import { ownType } from "./delegate-config.ts";

const directoryMode = 0o700;
const fileMode = 0o600;
/** The member that names the interface. */
const interfaceKey = "tartan.interface";

/** Whose state it is. */
export interface StateKey {
  readonly directory: string;
  /** Name of the network. */
  readonly network: string;
  readonly containerId: string;
  readonly interfaceName: string;
}

/** What a state file says. */
export interface State {
  readonly path: string;
  readonly containerId: string;
  /** Undefined when it does not say it, as upstream's. */
  readonly interfaceName: string | undefined;
  readonly network: string;
  /** Type of the delegate. */
  readonly type: string;
  /** The delegate's configuration. */
  readonly json: JsonObject;
}

/**
 * Writes the delegate's configuration and returns how to take that back: the file is again as it was before. It is not
 * synced: DEL can do without. Throws a SyscallError.
 */
export function saveState(key: StateKey, json: JsonObject): () => void {
  const path = pathToWrite(key);
  const temporary = temporaryPath(path);
  const before = findReadable(path);
  ensureDirectory(key.directory, directoryMode);
  removeFile(temporary);
  replaceFile(path, JSON.stringify({ ...json, [interfaceKey]: key.interfaceName }), fileMode, temporary);
  return () => {
    if (before === undefined) removeFile(path);
    else replaceFile(path, before, fileMode, temporary);
  };
}

/**
 * The states of an attachment that can be read as such: nearly always one. A container has one interface of a name, so that
 * a state is this attachment's also when its network has got another name since.
 */
export function listStates(key: StateKey): readonly State[] {
  return [furtherPath(key), firstPath(key)].flatMap((path) => {
    const state = readState(path, key.containerId);
    return state !== undefined && isOwn(state, key) ? [state] : [];
  });
}

/** True when a state says that it is the attachment's; upstream's says no interface, and then the network has to do. */
export function isCertain({ network, interfaceName }: State, key: StateKey): boolean {
  return interfaceName !== undefined || network === key.network;
}

/** Forgets an attachment, also what a killed ADD had written of it, but nothing of others. Throws a SyscallError. */
export function removeState(key: StateKey): void {
  const first = readState(firstPath(key), key.containerId);
  const paths = [furtherPath(key), ...(first === undefined || isOwn(first, key) ? [firstPath(key)] : [])];
  runAll(paths.flatMap((path) => [(): unknown => removeFile(temporaryPath(path)), (): unknown => removeFile(path)]));
}

/**
 * The container's own file unless it is another attachment's, or says what a network of another name has given. One that
 * does not say which interface it is for counts as this one's when it is of the same network: there a second attachment
 * has the same configuration.
 */
function pathToWrite(key: StateKey): string {
  const first = readState(firstPath(key), key.containerId);
  return first === undefined || (isOwn(first, key) && first.network === key.network)
    ? firstPath(key)
    : furtherPath(key);
}

function isOwn(state: State, { interfaceName }: StateKey): boolean {
  return (state.interfaceName ?? interfaceName) === interfaceName;
}

/** What a file says; undefined when there is none, or it cannot be read as a state. */
export function readState(path: string, containerId: string): State | undefined {
  const text = findReadable(path);
  if (text === undefined) return undefined;
  try {
    const state = new Decoder(parseJson(text));
    const { [interfaceKey]: _interfaceName, ...json } = state.object() ?? {};
    const network = state.field("name").string() ?? "";
    const type = state.field("type").string() ?? "";
    // No runtime starts a network of another name: nobody has written such a state.
    if (!isCniName(network) || type === "" || type === ownType) return undefined;
    return { path, containerId, interfaceName: state.field(interfaceKey).string(), network, type, json };
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function findReadable(path: string): string | undefined {
  try {
    return findText(path);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

function firstPath({ directory, containerId }: StateKey): string {
  return `${directory}/${containerId}`;
}

function furtherPath(key: StateKey): string {
  return `${firstPath(key)}:${key.interfaceName}`;
}

/** The name of the file that the temporary file with this name is for; undefined for another name. */
export function findTemporary(name: string): string | undefined {
  return /^\.(.+)\.tartan$/.exec(name)?.[1];
}

/** One name for all attempts, so that DEL finds it: a runtime never works twice at the same time on one container. */
function temporaryPath(path: string): string {
  const slash = path.lastIndexOf("/") + 1;
  return `${path.slice(0, slash)}.${path.slice(slash)}.tartan`;
}
