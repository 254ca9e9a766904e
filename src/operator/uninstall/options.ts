import { defaultPlaces } from "../install/layout.ts";
import { type Places, plainPath } from "../install/options.ts";
import { UsageError } from "../usage.ts";
import { readWords } from "../words.ts";

/** Where the daemon writes. */
interface DaemonPlaces {
  /** What it keeps for its next start. */
  readonly stateDirectory: string;
  /** What it tells the plugins. */
  readonly subnetFile: string;
}

/** What a person asked `tartan uninstall` for; `all`: also the rules of pods that are there. */
export type UninstallRequest =
  | ({ readonly kind: "everything"; readonly all: boolean } & DaemonPlaces & Places)
  | { readonly kind: "rules"; readonly all: boolean }
  | { readonly kind: "help" };

const defaultStateDirectory = "/var/lib/tartan";
const defaultSubnetFile = "/run/flannel/subnet.env";
const known = {
  values: ["--bin-dir", "--net-dir", "--state-dir", "--subnet-file"],
  flags: ["--rules", "--all", "--help", "-h"],
};

/** What `tartan uninstall --help` prints. */
export const uninstallUsage: string = `Usage: tartan uninstall [OPTION]...
       tartan uninstall --rules [--all]

Takes out of this node exactly what install-cni has put in, what the daemon keeps for its next start and has told the
plugins, and the rules of both in nf_tables. What has become somebody else's meanwhile stays, and so does the subnet file
while any flanneld runs here. To be run when tartan's daemon does not run here any more; devices and routes stay until
they are deleted or the node starts anew.

  --rules           only rules, and of those only what the plugins made for pods that are gone: host ports, masquerade
                    and the check of MAC addresses. A pod is there as long as its device on the host is; one of which
                    no such device is known (of a plugin that makes none) counts as gone, so that its rules are removed
                    too. No file is touched, and no rule of the daemon or of anybody else
  --all             the rules of pods that are there as well
  --bin-dir DIR     directory of the plugins (default: ${defaultPlaces.binDirectory})
  --net-dir DIR     directory of the configurations (default: ${defaultPlaces.netDirectory})
  --state-dir DIR   what the daemon has as --state-dir (default: ${defaultStateDirectory})
  --subnet-file FILE
                    what the daemon has as --subnet-file (default: ${defaultSubnetFile})
  --help            print this
`;

/** Reads the words behind `tartan uninstall`. Throws a UsageError that names what is wrong. */
export function parseUninstallOptions(args: readonly string[]): UninstallRequest {
  const { values, flags } = readWords("uninstall", args, known);
  if (flags.has("--help") || flags.has("-h")) return { kind: "help" };
  const all = flags.has("--all");
  if (flags.has("--rules")) {
    const [other] = values.keys();
    if (other !== undefined) throw usage(`option "${other}" does not go with "--rules", which touches no file`);
    return { kind: "rules", all };
  }
  return {
    kind: "everything",
    all,
    binDirectory: plainPath(values.get("--bin-dir") ?? defaultPlaces.binDirectory),
    netDirectory: plainPath(values.get("--net-dir") ?? defaultPlaces.netDirectory),
    stateDirectory: values.get("--state-dir") ?? defaultStateDirectory,
    subnetFile: values.get("--subnet-file") ?? defaultSubnetFile,
  };
}

function usage(problem: string): UsageError {
  return new UsageError("uninstall", problem);
}
