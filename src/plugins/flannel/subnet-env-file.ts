import { errorText } from "../../base/error.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import { awaitFile } from "../../sys/await-file.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import { findFile, readText } from "../../sys/file.ts";
import { parseSubnetEnv, type SubnetEnv } from "./subnet-env.ts";

/**
 * How long ADD waits for a daemon that is just starting. containerd 1.6 knows no STATUS: it starts the first pods of a node
 * that joins as soon as the conflist is there, and tries a failed sandbox again only 12 s later.
 */
const patienceMs = 10_000;

/** Throws a CniError, code 11 (try again later) while the daemon has not written the file yet. */
export function loadSubnetEnv(path: string): SubnetEnv {
  try {
    return parseSubnetEnv(readText(path), path);
  } catch (error) {
    const code = failedWith(error, errno.ENOENT) ? cniCode.tryAgainLater : cniCode.internal;
    const message = `failed to load flannel 'subnet.env' file: ${errorText(error)}. Check the flannel pod log for this node.`;
    throw new CniError(code, message);
  }
}

/** Like loadSubnetEnv, but undefined for a file that is not there or cannot be read. */
export function findSubnetEnv(path: string): SubnetEnv | undefined {
  try {
    return loadSubnetEnv(path);
  } catch {
    return undefined;
  }
}

/** Like loadSubnetEnv, but gives the daemon time to write the file, unless there is no pod to wait for. */
export function awaitSubnetEnv(path: string, netns: string): SubnetEnv {
  try {
    return loadSubnetEnv(path);
  } catch (error) {
    if (!(error instanceof CniError) || error.code !== cniCode.tryAgainLater) throw error;
    using pod = findFile(netns);
    if (pod === undefined || !comesInTime(path)) throw error;
  }
  return loadSubnetEnv(path);
}

/** Where nothing can be watched, as when the node has no inotify instance left, the runtime has to try again. */
function comesInTime(path: string): boolean {
  try {
    return awaitFile(path, patienceMs);
  } catch {
    return false;
  }
}
