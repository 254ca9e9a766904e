import type { JsonObject } from "../../src/base/decode.ts";
import { type CniHost, createCniHost, type TestPod } from "./cni-host.ts";
import { createExecutableDirectory } from "./executable.ts";
import { createNetns, type TestNetns } from "./netns.ts";

/** The host's own addresses towards the outside, and the outside's. */
export const hostAddress = { 4: "192.0.2.1", 6: "2001:db8::1" } as const;
export const outsideAddress = { 4: "192.0.2.2", 6: "2001:db8::2" } as const;

/** A host whose pods have addresses of both families, and another machine that is connected to it. */
export interface PortHost extends AsyncDisposable {
  readonly host: CniHost;
  readonly outside: TestNetns;
}

/**
 * Makes both, with plugins from a directory, or from one of its own that has all of ours. The other machine knows no way to
 * the pods' addresses but through the host.
 */
export async function createPortHost(plugins?: string): Promise<PortHost> {
  await using made = new AsyncDisposableStack();
  const host = made.use(await createCniHost(plugins ?? made.use(await createExecutableDirectory()).path));
  const outside = made.use(await createNetns({ loopbackUp: true }));
  await host.netns.ip("link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", outside.name);
  for (const [netns, device, addresses] of [
    [host.netns, "up0", hostAddress],
    [outside, "eth0", outsideAddress],
  ] as const) {
    await netns.ip("addr", "add", `${addresses[4]}/24`, "dev", device);
    await netns.ip("addr", "add", `${addresses[6]}/64`, "dev", device, "nodad");
    await netns.ip("link", "set", device, "up");
  }
  await outside.ip("route", "add", "10.244.0.0/16", "via", hostAddress[4]);
  await outside.ip("-6", "route", "add", "fd00:10:244::/56", "via", hostAddress[6]);
  const kept = made.move();
  return { host, outside, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The `ipam` member with a range of each family. */
function dualIpam(host: CniHost): JsonObject {
  return host.ipamConfig({
    ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:244:1::/64" }]],
    routes: [{ dst: "10.244.0.0/16" }],
  });
}

/** A mapping as a runtime gives it. */
export function mapping(hostPort: number, containerPort: number, protocol = "tcp", hostIP = ""): JsonObject {
  return { hostPort, containerPort, protocol, ...(hostIP === "" ? {} : { hostIP }) };
}

/** A pod that the bridge plugin has added, and what portmap gets of it. */
export interface AddedPod {
  readonly pod: TestPod;
  readonly result: JsonObject;
}

/** Adds a pod of both families by the bridge plugin alone. */
export async function addDualPod(host: CniHost, members: JsonObject = {}): Promise<AddedPod> {
  const pod = await host.addPod();
  const config = host.bridgeConfig({ cniVersion: "1.0.0", ipam: dualIpam(host), ...members });
  const { result } = await host.add(config, { pod });
  if (result === undefined) throw new Error("Cannot go on: the bridge plugin printed no result");
  // A new bridge looks for another one with its link-local address, and finds no neighbour until it has done that.
  await pod.netns.run(["ping", "-6", "-c", "1", "-w", "5", "-q", "fd00:10:244:1::1"]);
  return { pod, result };
}

/** The configuration of portmap for a pod of the bridge plugin. */
export function portmapConfig(
  prevResult: JsonObject,
  mappings: readonly JsonObject[],
  members: JsonObject = {},
): JsonObject {
  return {
    cniVersion: "1.1.0",
    name: "cbr0",
    type: "portmap",
    prevResult: { ...prevResult, cniVersion: "1.1.0" },
    runtimeConfig: { portMappings: mappings },
    ...members,
  };
}
