/**
 * How long a plugin takes to start (`VERSION`), against an executable that does nothing, built with the same options.
 * Goal: at most 1.3 times its time. Run by `npm run bench -- plugin-start`, after `npm run build`.
 */
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { compileOptions } from "../build.ts";
import { alternate, quantile, type Run, runProgram } from "./runner.ts";

const rounds = 200;
const goal = 1.3;
const plugins = ["flannel", "bridge", "host-local", "loopback"];

const directory = mkdtempSync(`${tmpdir()}/tartan-bench-`);
try {
  writeFileSync(`${directory}/empty.ts`, "");
  const built = Bun.spawnSync([process.execPath, "build", "empty.ts", ...compileOptions, "--outfile=empty"], {
    cwd: directory,
  });
  if (built.exitCode !== 0) throw new Error(`Cannot build the empty executable: ${built.stderr.toString()}`);
  // Both fresh copies: how a file came into the page cache alone makes a difference of a fifth.
  copyFileSync(`${directory}/empty`, `${directory}/nothing`);
  copyFileSync(`${import.meta.dir}/../dist/tartan`, `${directory}/tartan`);
  const programs: Record<string, () => Run> = { empty: () => start(`${directory}/nothing`, "empty") };
  for (const plugin of plugins) {
    symlinkSync("tartan", `${directory}/${plugin}`);
    programs[plugin] = () => start(`${directory}/${plugin}`, plugin);
  }
  const runs = alternate(programs, rounds);
  const floor = quantile(
    (runs.get("empty") ?? []).map((run) => run.milliseconds),
    0.5,
  );
  console.log(`start (VERSION), ${rounds} rounds in alternation\n`);
  console.log("program       p50 ms   p99 ms   CPU ms   p50 / empty");
  for (const [name, all] of runs) {
    const times = all.map((run) => run.milliseconds);
    const ratio = quantile(times, 0.5) / floor;
    const row = [
      quantile(times, 0.5).toFixed(2).padStart(6),
      quantile(times, 0.99).toFixed(2).padStart(6),
      quantile(
        all.map((run) => run.cpuMilliseconds),
        0.5,
      )
        .toFixed(2)
        .padStart(6),
      `${ratio.toFixed(2)}${ratio > goal ? `  above the goal of ${goal}` : ""}`,
    ];
    console.log(`${name.padEnd(12)} ${row.join("   ")}`);
  }
} finally {
  rmSync(directory, { recursive: true });
}

function start(path: string, name: string): Run {
  const run = runProgram({ path, argv: [name], environment: { CNI_COMMAND: "VERSION" } });
  if (run.exitCode !== 0) throw new Error(`Cannot measure ${name}: it ended with ${run.exitCode}`);
  return run;
}
