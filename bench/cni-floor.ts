/**
 * The floor below which no ADD of ours can be: the start of an executable that does nothing, and the kernel's own time
 * for what ADD asks of it, as strace counts it in a process whose code is warm.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { compileOptions } from "../build.ts";
import { dispatch } from "../src/cni/dispatch.ts";
import { builtInPlugins } from "../src/plugins/main.ts";
import { flannelEntry } from "./cni-chains.ts";
import { BenchHost, makeNetns, type Pod } from "./cni-host.ts";
import { alternate, quantile, type Run, runProgram } from "./runner.ts";

const rounds = 200;

/** Prints the floor and how far above it ADD stands, all in alternation. */
export function measureFloor(directory: string, plugins: string): void {
  const empty = buildEmpty(directory);
  const path = `${directory}/floor`;
  const chain = { name: "floor", cniVersion: "1.0.0", plugins, entries: [flannelEntry(path)] };
  const host = new BenchHost(path, chain, { daemonMasquerades: true, portMappings: () => [] });
  mkdirSync(`${path}/pods`);
  const pods: Pod[] = Array.from({ length: rounds }, (_, index) => {
    return { containerId: `floor-${index}`, netns: makeNetns(`${path}/pods/${index}`), number: index };
  });
  host.enter();
  const waiting = [...pods];
  const runs = alternate(
    {
      empty: () => runProgram({ path: empty, argv: ["empty"], environment: {} }),
      version: () =>
        runProgram({ path: `${plugins}/flannel`, argv: ["flannel"], environment: { CNI_COMMAND: "VERSION" } }),
      add: () => addNext(host, waiting),
      warm: () => addWarm(host, waiting),
    },
    rounds / 2,
  );
  for (const pod of pods) host.call("DEL", pod);
  const [start = 0, version = 0, add = 0, warm = 0] = [...runs.values()].map((all) =>
    quantile(
      all.map((run) => run.milliseconds),
      0.5,
    ),
  );
  console.log(
    [
      "\nthe floor of ADD                  p50 ms",
      `an executable that does nothing  ${start.toFixed(2).padStart(7)}   (VERSION ${version.toFixed(2)})`,
      `the same ADD in a warm process   ${warm.toFixed(2).padStart(7)}   (the kernel's time, and little else)`,
      `both                             ${(start + warm).toFixed(2).padStart(7)}`,
      `ADD                              ${add.toFixed(2).padStart(7)}   (${(add / (start + warm)).toFixed(2)} × the floor)`,
    ].join("\n"),
  );
}

function buildEmpty(directory: string): string {
  writeFileSync(`${directory}/empty.ts`, "");
  const command = [process.execPath, "build", "empty.ts", ...compileOptions, "--outfile=empty"];
  const built = Bun.spawnSync(command, { cwd: directory });
  if (built.exitCode !== 0) throw new Error(`Cannot build the empty executable: ${built.stderr.toString()}`);
  Bun.spawnSync(["cp", "empty", "nothing"], { cwd: directory });
  return `${directory}/nothing`;
}

function addNext(host: BenchHost, waiting: Pod[]): Run {
  const pod = takePod(waiting);
  return { ...host.call("ADD", pod), exitCode: 0 };
}

/** ADD by the same code in this process, in which it has run before. */
function addWarm(host: BenchHost, waiting: Pod[]): Run {
  const pod = takePod(waiting);
  const { environment, stdin = "" } = host.program("ADD", 0, pod);
  const config = Bun.spawnSync(["cat", stdin]).stdout.toString();
  let exitCode = 0;
  const start = Bun.nanoseconds();
  dispatch("flannel", builtInPlugins(), {
    environment,
    readStdin: () => config,
    writeStdout: () => undefined,
    writeStderr: () => undefined,
    exit: (code) => {
      exitCode = code;
    },
  });
  const milliseconds = (Bun.nanoseconds() - start) / 1e6;
  if (exitCode !== 0) throw new Error(`Cannot measure a warm ADD: it ended with ${exitCode}`);
  return { milliseconds, cpuMilliseconds: milliseconds, exitCode };
}

function takePod(waiting: Pod[]): Pod {
  const pod = waiting.shift();
  if (pod === undefined) throw new Error("Cannot measure: no pod is left");
  return pod;
}
