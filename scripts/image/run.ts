/** Runs a program and returns the bytes it prints. Throws an Error with what it said when it fails. */
export function runProgram(command: readonly string[], directory: string): Uint8Array {
  const child = Bun.spawnSync([...command], { cwd: directory, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  if (child.exitCode === 0) return child.stdout;
  throw new Error(`Cannot run ${command.join(" ")}: exit ${child.exitCode}\n${child.stderr.toString()}`);
}
