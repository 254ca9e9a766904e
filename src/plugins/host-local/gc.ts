import { findIp } from "../../addr/ip.ts";
import { runAll } from "../../base/run-all.ts";
import type { CniGcRequest, StaleAddress, ValidAttachments } from "../../cni/plugin.ts";
import { listDirectory } from "../../sys/directory.ts";
import { removeFile } from "../../sys/file.ts";
import { decodeDirectory } from "./config.ts";
import { isReservationName } from "./holder-link.ts";
import { findOwner, type Owner } from "./owner.ts";
import { findStore } from "./store.ts";

/** Nobody's: opening the store with it only locks and lists. */
const nobody = { containerId: "", interfaceName: "" };

/**
 * GC: frees the addresses of this network whose owner the runtime no longer knows, and those that name nobody, as a crash
 * leaves them: whoever writes one holds the lock. Throws what could not be freed, or not be read, all of it together.
 */
export function freeStaleAddresses(request: CniGcRequest): void {
  const directory = decodeDirectory(request);
  using store = findStore(directory, nobody);
  if (store === undefined) return;
  const names = (listDirectory(directory) ?? []).filter(isReservationName);
  runAll(names.map((name) => (): void => freeUnlessValid(`${directory}/${name}`, request.valid)));
}

/** The addresses that GC would free, of attachments that are known by name. */
export function listStaleAddresses(request: CniGcRequest): readonly StaleAddress[] {
  const directory = decodeDirectory(request);
  return (listDirectory(directory) ?? []).flatMap((name) => {
    const address = findIp(name);
    const owner = address === undefined ? undefined : findOwner(`${directory}/${name}`);
    if (address === undefined || owner === undefined || owner.containerId === "") return [];
    return isValid(owner, request.valid) ? [] : [{ ...owner, address }];
  });
}

function freeUnlessValid(path: string, valid: ValidAttachments): void {
  const owner = findOwner(path);
  if (owner?.containerId === "") throw new Error(`Cannot tell whose ${path} is: it cannot be read`);
  if (owner === undefined || !isValid(owner, valid)) removeFile(path);
}

/** An old file names the container only. */
function isValid({ containerId, interfaceName }: Owner, valid: ValidAttachments): boolean {
  return interfaceName === undefined ? valid.hasContainer(containerId) : valid.has(containerId, interfaceName);
}
