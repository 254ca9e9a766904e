import { errorText } from "../base/error.ts";
import { parseAnnotationPrefix } from "../sources/kube/annotations.ts";
import { parseServer } from "../sources/kube/credentials.ts";
import { findIdentity, type NodeIdentity } from "../sources/kube/node-name.ts";
import { FlagError } from "./flag-syntax.ts";
import type { FlagValues } from "./flag-values.ts";

/** Where the leases are. */
export type SourceOptions =
  | { readonly kind: "directory"; readonly directory: string }
  | {
      readonly kind: "kubernetes";
      readonly identity: NodeIdentity;
      readonly apiUrl: string;
      readonly kubeconfigFile: string;
      readonly annotationPrefix: string;
      readonly netConfPath: string;
      readonly setCondition: boolean;
    };

/** Reads which lease source the flags ask for. Throws a FlagError when it is none, two, or one that is not built yet. */
export function decodeSource(flags: FlagValues, env: Readonly<Record<string, string | undefined>>): SourceOptions {
  const directory = flags.text("lease-dir");
  const kubernetes = flags.isSet("kube-subnet-mgr", false);
  if (directory !== "" && kubernetes) {
    throw new FlagError("Cannot start: --lease-dir and --kube-subnet-mgr name two lease sources; give one");
  }
  if (directory !== "") return { kind: "directory", directory };
  if (kubernetes) return decodeKubernetes(flags, env);
  throw new FlagError(
    "Cannot start: no lease source is given, and etcd, which flannel takes then, is not built yet; " +
      "give --kube-subnet-mgr or --lease-dir DIR",
  );
}

function decodeKubernetes(flags: FlagValues, env: Readonly<Record<string, string | undefined>>): SourceOptions {
  const identity = findIdentity(env);
  if (identity === undefined) {
    throw new FlagError(
      "Cannot start: env variables POD_NAME and POD_NAMESPACE must be set, or NODE_NAME: they tell which node this is",
    );
  }
  const apiUrl = flags.text("kube-api-url");
  const annotationPrefix = flags.text("kube-annotation-prefix");
  check("kube-annotation-prefix", () => parseAnnotationPrefix(annotationPrefix));
  if (apiUrl !== "") check("kube-api-url", () => parseServer(apiUrl));
  return {
    kind: "kubernetes",
    identity,
    apiUrl,
    kubeconfigFile: flags.text("kubeconfig-file"),
    annotationPrefix,
    netConfPath: flags.text("net-config-path"),
    setCondition: flags.isSet("set-node-network-unavailable", true),
  };

  function check(name: string, read: () => unknown): void {
    try {
      read();
    } catch (error) {
      throw new FlagError(`Cannot use --${name} with value "${flags.text(name)}": ${errorText(error)}`);
    }
  }
}
