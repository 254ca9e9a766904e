import { runCommand } from "./command.ts";

/** Whether Go programs can be built here. */
export interface GoState {
  /** Why not; undefined when they can. */
  readonly missing: string | undefined;
}

/** The oldest Go that builds every peer. */
export const oldestGo = { major: 1, minor: 25 } as const;

/** Looks for a Go that is new enough for the peers. */
export async function goState(): Promise<GoState> {
  const wanted = `Go ${oldestGo.major}.${oldestGo.minor} or newer`;
  if (Bun.which("go") === null) return { missing: `there is no ${wanted} on PATH` };
  const { stdout } = await runCommand(["go", "env", "GOVERSION"], { cwd: "/" });
  const version = /^go(\d+)\.(\d+)/.exec(stdout);
  const major = Number(version?.[1] ?? 0);
  const minor = Number(version?.[2] ?? 0);
  const enough = major > oldestGo.major || (major === oldestGo.major && minor >= oldestGo.minor);
  return { missing: enough ? undefined : `${wanted} is wanted, and on PATH is ${stdout.trim()}` };
}
