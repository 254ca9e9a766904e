import type { TestContainer } from "./containerd.ts";

/** The IPv4 address of a container's eth0 as the container sees it. */
export async function containerAddress(container: TestContainer): Promise<string | undefined> {
  const { stdout } = await container.run(["ip", "-4", "addr", "show", "dev", "eth0"]);
  return /inet (\S+)/.exec(stdout)?.[1];
}

/** Pings three times from inside a container and returns what ping says. */
export async function containerPing(container: TestContainer, address: string): Promise<string> {
  const { stdout } = await container.run(["ping", "-c", "3", "-i", "0.1", "-W", "2", address], { exitCode: "any" });
  return stdout;
}
