import { defaultPlaces } from "../install/layout.ts";
import type { Places } from "../install/options.ts";
import { UsageError } from "../usage.ts";

/** What a person asked `tartan uninstall` for. */
export type UninstallRequest =
  | ({ readonly kind: "files"; readonly stateDirectory: string } & Places)
  | { readonly kind: "rules"; readonly all: boolean }
  | { readonly kind: "help" };

const defaultStateDirectory = "/var/lib/tartan";

/** What `tartan uninstall --help` prints. */
export const uninstallUsage: string = `Usage: tartan uninstall [OPTION]...
       tartan uninstall --rules [--all]

Takes out of this node exactly what install-cni has put in, and what the daemon keeps for its next start. What has become
somebody else's meanwhile stays. To be run when no flannel of tartan's runs on the node any more.

  --bin-dir DIR     directory of the plugins (default: ${defaultPlaces.binDirectory})
  --net-dir DIR     directory of the configurations (default: ${defaultPlaces.netDirectory})
  --state-dir DIR   what the daemon has as --state-dir (default: ${defaultStateDirectory})
  --help            print this

With --rules no file is touched: it removes from nf_tables what the plugins made for pods, host ports, masquerade and the
check of MAC addresses, and no rule of the daemon or of anybody else.

  --rules           what belongs to pods that are gone; the others keep their host ports
  --all             with --rules: everything, also what belongs to pods that are there
`;

/** Reads the words behind `tartan uninstall`. Throws a UsageError that names what is wrong. */
export function parseUninstallOptions(args: readonly string[]): UninstallRequest {
  if (args.includes("--help") || args.includes("-h")) return { kind: "help" };
  if (args.includes("--rules")) return parseRules(args);
  const values: Record<string, string> = {
    "--bin-dir": defaultPlaces.binDirectory,
    "--net-dir": defaultPlaces.netDirectory,
    "--state-dir": defaultStateDirectory,
  };
  const words = args.flatMap((word) => {
    const equals = word.indexOf("=");
    return word.startsWith("--") && equals > 0 ? [word.slice(0, equals), word.slice(equals + 1)] : [word];
  });
  for (let index = 0; index < words.length; index += 2) {
    const [word = "", value = ""] = words.slice(index, index + 2);
    if (!Object.hasOwn(values, word)) {
      throw new UsageError("uninstall", `unknown ${word.startsWith("-") ? "option" : "argument"} "${word}"`);
    }
    if (value === "") throw new UsageError("uninstall", `option "${word}" needs a value`);
    values[word] = value;
  }
  return {
    kind: "files",
    binDirectory: values["--bin-dir"] ?? "",
    netDirectory: values["--net-dir"] ?? "",
    stateDirectory: values["--state-dir"] ?? "",
  };
}

function parseRules(args: readonly string[]): UninstallRequest {
  const unknown = args.find((word) => !["--rules", "--all"].includes(word));
  if (unknown !== undefined) throw new UsageError("uninstall", `unknown argument "${unknown}"`);
  return { kind: "rules", all: args.includes("--all") };
}
