import type { TestNetns } from "./netns.ts";

/** What a daemon answers to /readyz, or why it does not answer. */
export interface Readiness {
  readonly status: number;
  readonly text: string;
}

/** Asks a daemon in a namespace, on its 127.0.0.1. */
export async function askHealth(netns: TestNetns, port: number, path = "/readyz"): Promise<Readiness> {
  const script = `
    try {
      const answer = await fetch("http://127.0.0.1:${port}${path}", { signal: AbortSignal.timeout(5000) });
      console.log(answer.status + " " + (await answer.text()));
    } catch (error) {
      console.log("0 " + error);
    }`;
  const { stdout } = await netns.run([process.execPath, "-e", script]);
  const blank = stdout.indexOf(" ");
  return { status: Number(stdout.slice(0, blank)), text: stdout.slice(blank + 1).trim() };
}
