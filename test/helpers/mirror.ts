import type { BackgroundProcess } from "./background.ts";
import type { TestNetns } from "./netns.ts";

const program = Bun.fileURLToPath(import.meta.resolve("./mirror-program.ts"));

/** Answers with a name and the caller's address on a port of a namespace, by TCP and UDP, until it goes out of scope. */
export async function startMirror(netns: TestNetns, name: string, port: number): Promise<BackgroundProcess> {
  const mirror = netns.start([process.execPath, program, "answer", name, String(port)]);
  await mirror.waitUntil("it answers", () => mirror.stdout.includes("ready"));
  return mirror;
}

/** What a mirror answers by TCP: its name and the address that it saw; "" when nobody is reached. */
export async function askMirror(netns: TestNetns, address: string, port: number): Promise<string> {
  const client = ["busybox", "nc", "-w", "2", address, String(port)];
  const { stdout } = await netns.run(client, { exitCode: "any" });
  return stdout.trim();
}

/** Asks by UDP, over and over from one socket, until it goes out of scope. */
export function startAsking(netns: TestNetns, address: string, port: number): BackgroundProcess {
  return netns.start([process.execPath, program, "ask", address, String(port)]);
}

/** The last answer that an asker got. */
export function lastAnswer(asker: BackgroundProcess): string {
  return asker.stdout.trim().split("\n").at(-1) ?? "";
}
