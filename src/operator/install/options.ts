import { UsageError } from "../usage.ts";
import { readWords } from "../words.ts";
import { defaultPlaces, executableName, programNames } from "./layout.ts";

/** Where the installer works. */
export interface Places {
  /** The directory of the CNI plugins. */
  readonly binDirectory: string;
  /** The directory of the CNI configurations. */
  readonly netDirectory: string;
}

/** Which part of the installation is wanted: the seed's two init containers do one each. */
type Part = "plugins" | "conflist" | "all";

/** What to install, and from where. */
export interface InstallOptions extends Places {
  readonly part: Part;
  /** The file that holds the configuration list. */
  readonly conflist: string;
  /** Names that are taken even where somebody else has them. */
  readonly replace: readonly string[];
  /** Where the node's own root, or its /usr, is seen; undefined when it is not. */
  readonly hostRoot: string | undefined;
}

/** What `install-cni` is asked for. */
export type InstallRequest =
  | ({ readonly kind: "install" } & InstallOptions)
  | ({ readonly kind: "uninstall" } & Places)
  | { readonly kind: "help" };

/** What `install-cni --help` prints. */
export const installUsage: string = `Usage: install-cni [OPTION]...
       install-cni --uninstall [--bin-dir DIR] [--net-dir DIR]

Puts this executable and its names among a node's CNI plugins, then the configuration list in place. What cannot work is
refused before anything is changed. Safe to repeat, also while pods are being started.

  --only PART       plugins or conflist, instead of both
  --conflist FILE   the configuration list (default: ${defaultPlaces.conflist})
  --bin-dir DIR     directory of the plugins (default: ${defaultPlaces.binDirectory})
  --net-dir DIR     directory of the configurations (default: ${defaultPlaces.netDirectory})
  --replace NAMES   plugins to take over from somebody else: names with commas between them, or all; flannel always is
  --host-root DIR   where the node's root, or only its usr, is seen: for its C library, and what links lead to
  --uninstall       take out exactly what was put in
  --help            print this
`;

const known = {
  values: ["--only", "--conflist", "--bin-dir", "--net-dir", "--replace", "--host-root"],
  flags: ["--uninstall", "--help", "-h"],
};

/** Reads the words behind `install-cni`. Throws a UsageError that names what is wrong. */
export function parseInstallOptions(args: readonly string[]): InstallRequest {
  const { values, flags } = readWords("install-cni", args, known);
  if (flags.has("--help") || flags.has("-h")) return { kind: "help" };
  const places = {
    binDirectory: plainPath(values.get("--bin-dir") ?? defaultPlaces.binDirectory),
    netDirectory: plainPath(values.get("--net-dir") ?? defaultPlaces.netDirectory),
  };
  if (flags.has("--uninstall")) {
    const other = [...values.keys()].find((name) => name !== "--bin-dir" && name !== "--net-dir");
    if (other !== undefined) throw usage(`option "${other}" does not go with "--uninstall"`);
    return { kind: "uninstall", ...places };
  }
  return {
    kind: "install",
    ...places,
    part: parsePart(values.get("--only")),
    conflist: values.get("--conflist") ?? defaultPlaces.conflist,
    replace: parseReplace(values.get("--replace")),
    hostRoot: values.get("--host-root"),
  };
}

/** Without slashes at its end, so that paths below it can be compared. */
export function plainPath(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

function parsePart(text: string | undefined): Part {
  if (text === undefined) return "all";
  if (text === "plugins" || text === "conflist") return text;
  throw usage(`option "--only" is "${text}", wanted plugins or conflist`);
}

function parseReplace(text: string | undefined): readonly string[] {
  const plugins = programNames.filter((name) => name !== executableName);
  if (text === undefined) return [];
  if (text === "all") return plugins;
  const names = text.split(",");
  const unknown = names.find((name) => !plugins.includes(name));
  if (unknown !== undefined)
    throw usage(`option "--replace" names "${unknown}", wanted all or some of ${plugins.join(",")}`);
  return names;
}

function usage(problem: string): UsageError {
  return new UsageError("install-cni", problem);
}
