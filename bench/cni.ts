/**
 * ADD and DEL of pods against upstream's chain (flannel → bridge → host-local, then portmap; Go builds) in alternation, in
 * one run; memory; and how far above the floor ADD stands. What is measured is in cni-settings.ts. Run by
 * `npm run bench -- cni`. Needs root and the peers that `npm test` installs; leaves nothing behind.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { copyPlugins, makeHosts } from "./cni-chains.ts";
import { measureFloor } from "./cni-floor.ts";
import { measureMemory } from "./cni-memory.ts";
import { machine, printBounds, printSamples } from "./cni-report.ts";
import { measureSetting, type Samples } from "./cni-samples.ts";
import { type Setting, settings } from "./cni-settings.ts";

const [given] = process.argv.slice(2);
if (given === undefined) process.exitCode = await isolate();
else measure(given);

/** The mounts that keep the namespaces go with a mount namespace of the run's own; then the directory can go. */
async function isolate(): Promise<number> {
  const made = mkdtempSync(`${tmpdir()}/tartan-bench-`);
  try {
    const child = Bun.spawn(["unshare", "--mount", "--net", process.execPath, import.meta.path, made], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    // Whoever ends this process ends the child, and what that has made is removed here.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
    return await child.exited;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

function measure(directory: string): void {
  console.log(machine());
  const plugins = copyPlugins(directory);
  const results = new Map<Setting, Samples>();
  for (const [index, setting] of settings.entries()) {
    const hosts = makeHosts(`${directory}/hosts-${index}`, plugins, setting);
    const samples = measureSetting(hosts, `${directory}/pods-${index}`, setting);
    printSamples(setting, samples);
    results.set(setting, samples);
    if (index === 0) measureMemory(hosts, `${directory}/memory-pods`);
  }
  printBounds(results);
  measureFloor(directory, plugins.ours);
  console.log(`\n${machine()}`);
}
