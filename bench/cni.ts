/**
 * ADD and DEL of pods against upstream's chain (flannel → bridge → host-local, then portmap; Go builds) in alternation, in
 * one run; memory; and how far above the floor ADD stands. What is measured is in cni-settings.ts. Run by
 * `npm run bench -- cni`. Needs root and the peers that `npm test` installs; leaves nothing behind.
 */
import { copyPlugins, makeHosts } from "./cni-chains.ts";
import { measureFloor } from "./cni-floor.ts";
import { makeMemoryDirectory } from "./cni-host.ts";
import { measureMemory } from "./cni-memory.ts";
import { printFloor } from "./cni-floor-report.ts";
import { machine, printBounds, printSamples } from "./cni-report.ts";
import { measureSetting, type Samples } from "./cni-samples.ts";
import { type Setting, settings } from "./cni-settings.ts";
import { isolate } from "./isolate.ts";

const [given] = process.argv.slice(2);
if (given === undefined) process.exitCode = await isolate(import.meta.path);
else measure(given);

function measure(directory: string): void {
  console.log(machine());
  const memory = makeMemoryDirectory(`${directory}/memory`);
  const results = new Map<Setting, Samples>();
  for (const [index, setting] of settings.entries()) {
    const plugins = copyPlugins(`${directory}/plugins-${index}`);
    const hosts = makeHosts(`${memory}/hosts-${index}`, plugins, setting);
    const samples = measureSetting(hosts, `${memory}/pods-${index}`, setting);
    printSamples(setting, samples);
    results.set(setting, samples);
    if (index === 0) measureMemory(hosts, `${memory}/memory-pods`);
  }
  printBounds(results);
  printFloor(measureFloor(`${memory}/floor`, copyPlugins(`${directory}/plugins`), settings[0]), results);
  console.log(`\n${machine()}`);
}
