import { defaultPlaces } from "../install/layout.ts";
import type { Places } from "../install/options.ts";
import { UsageError } from "../usage.ts";

/** What a person asked `tartan uninstall` for; `all`: also the rules of pods that are there. */
export type UninstallRequest =
  | ({ readonly kind: "everything"; readonly all: boolean; readonly stateDirectory: string } & Places)
  | { readonly kind: "rules"; readonly all: boolean }
  | { readonly kind: "help" };

const defaultStateDirectory = "/var/lib/tartan";
const flags = ["--rules", "--all"];

/** What `tartan uninstall --help` prints. */
export const uninstallUsage: string = `Usage: tartan uninstall [OPTION]...
       tartan uninstall --rules [--all]

Takes out of this node exactly what install-cni has put in, what the daemon keeps for its next start, and the rules of
both in nf_tables. What has become somebody else's meanwhile stays. To be run when tartan's daemon does not run here any
more; devices and routes stay until they are deleted or the node starts anew.

  --rules           only rules, and of those only what the plugins made for pods that are gone: host ports, masquerade
                    and the check of MAC addresses. A pod is there as long as its device on the host is; one of which
                    no such device is known (of a plugin that makes none) counts as gone, so that its rules are removed
                    too. No file is touched, and no rule of the daemon or of anybody else
  --all             the rules of pods that are there as well
  --bin-dir DIR     directory of the plugins (default: ${defaultPlaces.binDirectory})
  --net-dir DIR     directory of the configurations (default: ${defaultPlaces.netDirectory})
  --state-dir DIR   what the daemon has as --state-dir (default: ${defaultStateDirectory})
  --help            print this
`;

/** Reads the words behind `tartan uninstall`. Throws a UsageError that names what is wrong. */
export function parseUninstallOptions(args: readonly string[]): UninstallRequest {
  if (args.includes("--help") || args.includes("-h")) return { kind: "help" };
  const all = args.includes("--all");
  const values = readValues(args.filter((word) => !flags.includes(word)));
  if (args.includes("--rules")) {
    const [other] = values.keys();
    if (other !== undefined) throw usage(`option "${other}" does not go with "--rules", which touches no file`);
    return { kind: "rules", all };
  }
  return {
    kind: "everything",
    all,
    binDirectory: values.get("--bin-dir") ?? defaultPlaces.binDirectory,
    netDirectory: values.get("--net-dir") ?? defaultPlaces.netDirectory,
    stateDirectory: values.get("--state-dir") ?? defaultStateDirectory,
  };
}

function readValues(args: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const words = args.flatMap((word) => {
    const equals = word.indexOf("=");
    return word.startsWith("--") && equals > 0 ? [word.slice(0, equals), word.slice(equals + 1)] : [word];
  });
  for (let index = 0; index < words.length; index += 2) {
    const [word = "", value = ""] = words.slice(index, index + 2);
    if (!["--bin-dir", "--net-dir", "--state-dir"].includes(word)) {
      throw usage(`unknown ${word.startsWith("-") ? "option" : "argument"} "${word}"`);
    }
    if (value === "") throw usage(`option "${word}" needs a value`);
    values.set(word, value);
  }
  return values;
}

function usage(problem: string): UsageError {
  return new UsageError("uninstall", problem);
}
