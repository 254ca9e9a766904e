import { standardStream, writeStream } from "../../sys/output.ts";
import { UsageError } from "../usage.ts";
import { removeAllRules, removeStaleRules } from "./rules.ts";

const usage = `Usage: tartan uninstall --rules [--all]

Removes from nf_tables what the plugins made for pods: host ports, masquerade and the check of MAC addresses. No file is
touched, and no rule of the daemon or of anybody else.

  --rules   what belongs to pods that are gone; the others keep their host ports
  --all     with --rules: everything, also what belongs to pods that are there
  --help    print this
`;

/** `tartan uninstall`; returns the exit code. Throws a UsageError, or an Error that says what is missing. */
export function uninstallCommand(args: readonly string[]): number {
  const known = ["--rules", "--all", "--help", "-h"];
  const unknown = args.find((word) => !known.includes(word));
  if (unknown !== undefined) throw new UsageError("uninstall", `unknown argument "${unknown}"`);
  if (args.includes("--help") || args.includes("-h")) {
    writeStream(standardStream.output, usage);
    return 0;
  }
  if (!args.includes("--rules")) throw new UsageError("uninstall", "it must be said what to remove: --rules");
  const lines = args.includes("--all") ? removeAllRules() : removeStaleRules();
  writeStream(standardStream.output, lines.map((line) => `${line}\n`).join(""));
  return 0;
}
