/** GC of the flannel plugin. */
import { Decoder, type JsonObject } from "../../base/decode.ts";
import { runAll } from "../../base/run-all.ts";
import { decodeConfig } from "../../cni/config.ts";
import { CniArgs } from "../../cni/args.ts";
import { validAttachmentKeys } from "../../cni/attachments.ts";
import { delegateDel, delegateGc } from "../../cni/delegate.ts";
import { isCniName } from "../../cni/environment.ts";
import type { CniGcRequest, CniRequest, ValidAttachments } from "../../cni/plugin.ts";
import { listDirectory } from "../../sys/directory.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import { modificationTime } from "../../sys/file-time.ts";
import { removeFile } from "../../sys/file.ts";
import { deleteAttachment, findRebuilt, isOurs, keptConfig, portsPlugin } from "./attachment.ts";
import { decodeFlannelConfig, decodeForDelete, type FlannelConfig } from "./config.ts";
import { delegateType } from "./delegate-config.ts";
import { withMembers } from "./members.ts";
import { findTemporary, readState, type State } from "./state.ts";
import { loadSubnetEnv } from "./subnet-env-file.ts";

/** Seconds after which nobody is writing a file of some hundred bytes any more. */
const longestWrite = 60;

/**
 * Deletes the attachments that are not valid any more, each with the configuration that ADD kept: a delegate's own GC may
 * do nothing, as that of the reference's bridge, and the present configuration may lead elsewhere. Then the delegate frees
 * what it has of attachments of which nothing was kept. Tries all of it, and throws what is left.
 */
export function collectGarbage(request: CniGcRequest): void {
  const config = decodeForDelete(request.config);
  runAll([
    (): void => portsPlugin(request).gc(request),
    (): void => deleteStale(request, config),
    (): void => {
      collectByDelegate(request);
      forgetUnnamed(request, config);
    },
    (): void => removeFiles(listUnfinished(config.dataDir, request)),
  ]);
}

function deleteStale(request: CniGcRequest, config: FlannelConfig): void {
  const named = listStale(config.dataDir, request).filter(({ interfaceName }) => interfaceName !== undefined);
  runAll(
    named.map((state) => (): void => {
      const deletion = deleteRequest(request, state);
      deleteAttachment(deletion, () => delegateDel(deletion, state.type, keptConfig(state, config)));
      removeFile(state.path);
    }),
  );
}

/**
 * DEL needs the interface, which upstream's files do not say. Our own plugins have freed by the list all the same; where they
 * could not, and of what a program has made, the file is kept for the DEL that may come.
 */
function forgetUnnamed(request: CniGcRequest, config: FlannelConfig): void {
  const unnamed = listStale(config.dataDir, request).filter(({ interfaceName }) => interfaceName === undefined);
  removeFiles(unnamed.filter((state) => isFreed(request, state, keptConfig(state, config))).map(({ path }) => path));
}

function isFreed(request: CniGcRequest, { type, containerId }: State, json: JsonObject): boolean {
  if (!isOurs(request, json)) return false;
  const left = request.builtIn.get(type)?.stale?.({ ...request, config: decodeConfig(new Decoder(json)) }) ?? [];
  return !left.some((stale) => stale.containerId === containerId);
}

function removeFiles(paths: readonly string[]): void {
  runAll(paths.map((path) => (): unknown => removeFile(path)));
}

function collectByDelegate(request: CniGcRequest): void {
  const config = decodeFlannelConfig(request.config);
  const json = findRebuilt(request, config);
  // Without a readable subnet.env only our own plugins know what to free; the others' error is that file's.
  if (json === undefined) loadSubnetEnv(config.subnetFile);
  else delegateGc(request, delegateType(config), withMembers(request, json, validAttachmentKeys));
}

/** The runtime does not tell the namespace: it has forgotten it. */
function deleteRequest(request: CniGcRequest, { containerId, interfaceName = "" }: State): CniRequest {
  const variables = { CNI_COMMAND: "DEL", CNI_CONTAINERID: containerId, CNI_IFNAME: interfaceName, CNI_NETNS: "" };
  const environment = { ...request.environment, ...variables };
  return { ...request, command: "DEL", containerId, interfaceName, netns: "", args: new CniArgs(""), environment };
}

/** Whose a file is, it says itself: the directory may be shared with other networks. Throws a SyscallError. */
function listStale(directory: string, request: CniGcRequest): readonly State[] {
  const states = (listDirectory(directory) ?? []).flatMap((name) => readNamed(directory, name, name) ?? []);
  return states.filter((state) => isStale(state, request));
}

/**
 * The temporary files that killed ADDs have left. One that is complete says whose it is. What one that is not says, nobody
 * knows; it goes when it is too old for an ADD, be it another network's, to be at work on it. Throws a SyscallError.
 */
function listUnfinished(directory: string, request: CniGcRequest): readonly string[] {
  return (listDirectory(directory) ?? []).flatMap((name) => {
    const target = findTemporary(name);
    if (target === undefined || findContainer(target) === undefined) return [];
    const path = `${directory}/${name}`;
    const state = readNamed(directory, name, target);
    return (state === undefined ? isOld(path) : isStale(state, request)) ? [path] : [];
  });
}

/** The state in a file, which is one for the name given. */
function readNamed(directory: string, file: string, name: string): State | undefined {
  const containerId = findContainer(name);
  return containerId === undefined ? undefined : readState(`${directory}/${file}`, containerId);
}

function findContainer(name: string): string | undefined {
  const [containerId = "", , ...more] = name.split(":");
  return isCniName(containerId) && more.length === 0 ? containerId : undefined;
}

function isStale(state: State, { config, valid }: CniGcRequest): boolean {
  return state.network === config.name && !isValid(state, valid);
}

/** An upstream file does not say the interface. */
function isValid({ containerId, interfaceName }: State, valid: ValidAttachments): boolean {
  return interfaceName === undefined ? valid.hasContainer(containerId) : valid.has(containerId, interfaceName);
}

function isOld(path: string): boolean {
  try {
    return modificationTime(path) < Date.now() / 1000 - longestWrite;
  } catch (error) {
    // Whoever wrote it has put it in its place meanwhile.
    if (failedWith(error, errno.ENOENT)) return false;
    throw error;
  }
}
