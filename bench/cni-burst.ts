import type { BenchHost, Pod, Verb } from "./cni-host.ts";
import { startProgram, waitForOne } from "./runner.ts";

interface Step {
  readonly pod: Pod;
  /** The plugins of the chain that are still to run, the running one first. */
  readonly places: readonly number[];
}

/** Runs a verb for all pods, so many at a time, and returns how many were done per second. */
export function burstRate(host: BenchHost, verb: Verb, pods: readonly Pod[], parallel: number): number {
  const running = new Map<number, Step>();
  const waiting = pods.map((pod) => ({ pod, places: host.order(verb) }));
  function start(step: Step | undefined): void {
    const [place] = step?.places ?? [];
    if (step !== undefined && place !== undefined) running.set(startProgram(host.program(verb, place, step.pod)), step);
  }
  const begin = Bun.nanoseconds();
  for (let index = 0; index < parallel; index++) start(waiting.shift());
  while (running.size > 0) {
    const { pid, exitCode } = waitForOne(-1);
    const step = running.get(pid);
    if (step === undefined) continue;
    running.delete(pid);
    host.finish(verb, step.pod, exitCode);
    const places = step.places.slice(1);
    start(places.length > 0 ? { pod: step.pod, places } : waiting.shift());
  }
  return pods.length / ((Bun.nanoseconds() - begin) / 1e9);
}
