/** The commands for people: `tartan COMMAND`. Only this file sets the exit code. */
import { errorText } from "../base/error.ts";
import { versionLine } from "../base/version.ts";
import { standardStream, writeError, writeStream } from "../sys/output.ts";
import { demoCommand } from "./demo/command.ts";
import { helpText } from "./help.ts";
import { installCommand } from "./install/main.ts";
import { nodesCommand } from "./nodes/command.ts";
import { uninstallCommand } from "./uninstall/command.ts";
import { UsageError } from "./usage.ts";

/** The commands with options of their own, which their own help lists. */
const withHelp: readonly string[] = ["demo", "install-cni", "nodes", "uninstall"];

/** Runs the command that the arguments name, the program's own name not among them. */
export async function runCommand(args: readonly string[]): Promise<void> {
  const [command = "help", ...rest] = args;
  try {
    process.exitCode = await commandExitCode(command, rest);
  } catch (error) {
    const name = error instanceof UsageError && error.command === "" ? "tartan" : `tartan ${command}`;
    writeError(`${name}: ${errorText(error)}\n`);
    if (error instanceof UsageError) writeError(usageHint(error));
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

async function commandExitCode(command: string, args: readonly string[]): Promise<number> {
  switch (command) {
    case "demo":
      return await demoCommand(args);
    case "install-cni":
      return installCommand(args);
    case "nodes":
      return await nodesCommand(args);
    case "uninstall":
      return uninstallCommand(args);
    case "version":
    case "--version":
      refuseArguments("version", args);
      writeStream(standardStream.output, `${versionLine}\n`);
      return 0;
    case "help":
    case "--help":
    case "-h": {
      const [first, ...rest] = args;
      refuseArguments("help", rest);
      if (first !== undefined && withHelp.includes(first)) return commandExitCode(first, ["--help"]);
      refuseArguments("help", args);
      writeStream(standardStream.output, helpText);
      return 0;
    }
    default:
      throw new UsageError("", `unknown command "${command}"`);
  }
}

function refuseArguments(command: string, args: readonly string[]): void {
  const [first] = args;
  if (first !== undefined) throw new UsageError(command, `unknown argument "${first}"`);
}

/** Where to read on: all there is after an unknown command, the command's own help after an unknown option. */
function usageHint(error: UsageError): string {
  if (withHelp.includes(error.command)) return `tartan ${error.command} --help prints its options\n`;
  return `\n${helpText}`;
}
