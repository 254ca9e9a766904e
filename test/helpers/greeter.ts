import type { BackgroundProcess } from "./background.ts";
import type { TestNetns } from "./netns.ts";

/** Greets everybody who connects to a TCP port in a namespace, until it goes out of scope. */
export async function startGreeter(netns: TestNetns, port: number): Promise<BackgroundProcess> {
  const greeter = netns.start(["busybox", "nc", "-ll", "-p", String(port), "-e", "echo", "hello"]);
  await greeter.waitUntil(`port ${port} is open`, async () => {
    const { stdout } = await netns.run(["ss", "-Hltn", `sport = :${port}`]);
    return stdout !== "";
  });
  return greeter;
}

/** What is said to somebody who connects from a namespace; "" when nobody is reached. */
export async function fetchGreeting(netns: TestNetns, address: string, port: number): Promise<string> {
  const client = ["busybox", "nc", "-w", "2", address, String(port)];
  const { stdout } = await netns.run(client, { exitCode: "any" });
  return stdout.trim();
}
