/**
 * The memory of plugins, as Debian's `time` program tells it: it starts them from a process that is small itself, whereas
 * the kernel counts for a child of ours what we had until the child was executed.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { type BenchHost, makeNetns, type Pod, type Verb } from "./cni-host.ts";
import { quantile, runProgram } from "./runner.ts";

const time = "/usr/bin/time";
const pods = 20;

/** Prints what the largest process of a chain had resident, for each host. */
export function measureMemory(hosts: ReadonlyMap<string, BenchHost>, directory: string): void {
  if (!existsSync(time)) Bun.spawnSync(["apt-get", "install", "--yes", "--no-install-recommends", "time"]);
  if (!existsSync(time)) {
    console.log(`\nmemory is left out: there is no ${time}`);
    return;
  }
  mkdirSync(directory, { recursive: true });
  console.log(`\nlargest process, resident      ADD MiB   DEL MiB   (medians of ${pods})`);
  for (const [name, host] of hosts) {
    host.enter();
    const all: Pod[] = Array.from({ length: pods }, (_, index) => {
      const containerId = `${name.replaceAll(/\W/g, "")}-${index}`;
      return { containerId, netns: makeNetns(`${directory}/${containerId}`), number: index };
    });
    const values = (["ADD", "DEL"] as const).map((verb) =>
      quantile(
        all.map((pod) => largest(host, verb, pod)),
        0.5,
      ),
    );
    console.log(`${name.padEnd(27)} ${values.map((value) => (value / 1024).toFixed(1).padStart(10)).join("")}`);
  }
}

/** KiB of the largest process that a verb starts for a pod. */
function largest(host: BenchHost, verb: Verb, pod: Pod): number {
  const report = `${host.directory}/time`;
  const sizes = host.order(verb).map((place) => {
    const program = host.program(verb, place, pod);
    const argv = [time, "--quiet", "--format=%M", `--output=${report}`, ...program.argv];
    host.finish(verb, pod, runProgram({ ...program, path: time, argv }).exitCode);
    return Number(readFileSync(report, "utf8"));
  });
  return Math.max(...sizes);
}
