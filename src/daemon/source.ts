import type { LeaseSource } from "../lease/lease.ts";
import { readPreviousSubnets } from "../lease/subnet-file.ts";
import { DirectoryLeaseSource } from "../sources/directory/directory-source.ts";
import { chooseCredentials } from "../sources/kube/choose-credentials.ts";
import { KubeLeaseSource } from "../sources/kube/kube-source.ts";
import { Fd } from "../sys/fd.ts";
import { writeAll } from "../sys/file.ts";
import type { Log } from "../sys/log.ts";
import { runOwnProgram } from "../sys/own-program.ts";
import type { DaemonOptions } from "./flags.ts";

/** The word by which flanneld, called by itself, only reads a kubeconfig: the library for it is not for the daemon. */
export const readKubeconfigCommand = "read-kubeconfig";

/** A plugin that asks somebody for credentials takes its time. */
const kubeconfigTimeoutMs = 60_000;

/** The lease source that the flags ask for. Nothing is read before it is started. */
export function openSource(options: DaemonOptions, log: Log): LeaseSource {
  const { source, stateDirectory, subnetFile } = options;
  if (source.kind === "directory") {
    return new DirectoryLeaseSource(source.directory, report, () => readPreviousSubnets(subnetFile)[4] === undefined);
  }
  const credentials = chooseCredentials({
    apiUrl: source.apiUrl,
    kubeconfigFile: source.kubeconfigFile,
    env: process.env,
    readKubeconfig: (path, part) => {
      const words = ["flanneld", readKubeconfigCommand, part, ...(path === undefined ? [] : [path])];
      return runOwnProgram(words, kubeconfigTimeoutMs);
    },
    report,
  });
  return new KubeLeaseSource({ ...source, credentials, stateDirectory, report });

  function report(line: string): void {
    log.warn(line);
  }
}

/** Reads a part of a kubeconfig and writes what a request needs to standard output, for `openSource` in another process. */
export async function writeKubeconfig(part: string | undefined, path: string | undefined): Promise<void> {
  const { readKubeconfig } = await import("../sources/kube/client.ts");
  const text = await readKubeconfig(path, part === "cluster" ? part : "access");
  writeAll(new Fd(1), new TextEncoder().encode(text), "standard output");
}
