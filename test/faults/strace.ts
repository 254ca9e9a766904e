/** Faults by strace(1): which system calls a run makes, and a run in which one of them does not return as it should. */

/** One system call of a run: the `number`-th of its name, as strace counts, for each thread by itself. */
export interface CallPoint {
  readonly call: string;
  readonly number: number;
  /** True from the first call of our own code on: the one that reads standard input. */
  readonly own: boolean;
  /** What it was called with, as strace shows it in a run without faults. */
  readonly text: string;
}

/** What a call is to meet. A killed one is not run, nor is one that fails. */
export type Fault = "kill" | "EIO" | "ENOSPC" | "EROFS" | "EPERM" | "ENOBUFS";

/** The words before a program's that write all its system calls into a file. */
export function traceWords(file: string): readonly string[] {
  return ["strace", "-f", "-s", "200", "-o", file];
}

/** The words before a program's that let one call meet a fault; `file` gets the calls of that name. */
export function faultWords({ call, number }: CallPoint, fault: Fault, file: string): readonly string[] {
  const what = fault === "kill" ? "signal=SIGKILL" : `error=${fault}`;
  const select = ["-e", `trace=${call}`, "-e", `inject=${call}:${what}:when=${number}`];
  return ["strace", "-f", "-qq", "-s", "200", "-o", file, ...select];
}

/** True when a trace of faultWords shows a call that was given an error. */
export function wasInjected(trace: string): boolean {
  return trace.includes("(INJECTED)");
}

/**
 * The points of a trace in their order, but for the call by which the program is started: until it is done there is none,
 * and strace lets nothing happen there. Threads count by themselves, so that the same point of two threads is one: the
 * first to get there meets the fault.
 */
export function parsePoints(trace: string): readonly CallPoint[] {
  const points = new Map<string, CallPoint>();
  const counts = new Map<string, number>();
  let own = false;
  for (const line of trace.split("\n")) {
    const { pid, call, text } = /^(?<pid>\d+) +(?<call>\w+)\((?<text>.*)/.exec(line)?.groups ?? {};
    if (pid === undefined || call === undefined || text === undefined || call === "execve") continue;
    if (call === "read" && text.startsWith("0, ")) own = true;
    const number = (counts.get(`${pid} ${call}`) ?? 0) + 1;
    counts.set(`${pid} ${call}`, number);
    const key = `${call} ${number}`;
    if (!points.has(key)) points.set(key, { call, number, own, text });
  }
  return [...points.values()];
}

/** A point and what it was, for the message of a failure. */
export function describePoint(point: CallPoint): string {
  return `${point.call} ${point.number} (${point.text.slice(0, 120)})`;
}

/** Every `step`-th of the points that are not our own, and all that are. */
export function samplePoints(points: readonly CallPoint[], step: number): readonly CallPoint[] {
  return points.filter((point, index) => point.own || index % step === 0);
}
