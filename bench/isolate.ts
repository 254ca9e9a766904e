import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

/**
 * Runs a benchmark once more, in namespaces of its own, with a directory that goes with the run as its argument. The mounts
 * that keep the hosts' namespaces go with the mount namespace; then the directory can go. Returns the exit code.
 */
export async function isolate(program: string): Promise<number> {
  const made = mkdtempSync(`${tmpdir()}/tartan-bench-`);
  try {
    const child = Bun.spawn(["unshare", "--mount", "--net", process.execPath, program, made], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    // Whoever ends this process ends the child, and what that has made is removed here.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
    return await child.exited;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
