import type { TestNetns } from "./netns.ts";

/** The kernel may have no SCTP sockets, so that the packet is made by hand and seen by tcpdump. */
const sender = Bun.fileURLToPath(import.meta.resolve("./sctp-program.ts"));

/** Sends an SCTP INIT from one namespace, and returns `SOURCE > DESTINATION.PORT` as another one receives it. */
export async function sendSctpInit(from: TestNetns, address: string, port: number, to: TestNetns): Promise<string> {
  await using capture = to.start(["tcpdump", "-n", "-l", "-c", "1", "-i", "eth0", "ip proto 132"]);
  await capture.waitUntil("tcpdump listens", () => capture.stderr.includes("listening on"));
  await from.run([process.execPath, sender, address, String(port)]);
  await capture.waitUntil("the packet arrives", () => capture.stdout.includes("sctp"));
  const [, source, target] = /IP (\S+)\.\d+ > (\S+): sctp \(1\) \[INIT\]/.exec(capture.stdout) ?? [];
  return `${source} > ${target}`;
}
