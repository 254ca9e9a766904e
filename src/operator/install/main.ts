/** The program `install-cni`: what the init containers of the DaemonSet and install.sh run. */
import { standardStream, writeStream } from "../../sys/output.ts";
import { install } from "./install.ts";
import { installUsage, parseInstallOptions } from "./options.ts";
import { uninstallFiles } from "./uninstall.ts";

/** Runs `install-cni` and returns the exit code. Throws a UsageError, or an Error that says why nothing was changed. */
export function installCommand(args: readonly string[]): number {
  const request = parseInstallOptions(args);
  switch (request.kind) {
    case "help":
      writeStream(standardStream.output, installUsage);
      break;
    case "install":
      install(request, tell);
      break;
    case "uninstall":
      uninstallFiles(request, tell);
      break;
  }
  return 0;
}

function tell(line: string): void {
  writeStream(standardStream.output, `${line}\n`);
}
