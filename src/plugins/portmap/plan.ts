/** What a pod's mappings come to: which host ports lead where. Pure. */
import { families, type ByFamily, type IpAddress, isUnspecified } from "../../addr/ip.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import type { CniResult } from "../../cni/result.ts";
import { type HostPort, hostPortText, type PortForward, type SourceRewrite } from "../../firewall/host-ports.ts";
import type { PortMapping, PortSettings } from "./config.ts";

/** The container's first address of each family. */
export type PodAddresses = ByFamily<IpAddress>;

/**
 * The addresses that ports lead to: the first of each family that belongs to the container's interface, or to none that
 * is known (the reference's parseConfig).
 */
export function podAddresses(result: CniResult, interfaceName: string): PodAddresses {
  const first: { 4: IpAddress | undefined; 6: IpAddress | undefined } = { 4: undefined, 6: undefined };
  for (const { address, interfaceIndex } of result.ips) {
    const device = interfaceIndex === undefined ? undefined : result.interfaces[interfaceIndex];
    if (device !== undefined && (device.name !== interfaceName || device.sandbox === undefined)) continue;
    first[address.family] ??= address.address;
  }
  return first;
}

/**
 * A device of the host that is there as long as the container: the one that stands before the container's own in the
 * result, as all plugins write it that make a pair of devices. Undefined for those that make none.
 */
export function findHostDevice(result: CniResult, interfaceName: string): string | undefined {
  const own = result.interfaces.findIndex(({ name, sandbox }) => name === interfaceName && sandbox !== undefined);
  return result.interfaces.slice(0, Math.max(own, 0)).findLast(({ sandbox }) => sandbox === undefined)?.name;
}

/** The forwards that the mappings ask for; `devices` are those behind which the pod's addresses are. Throws a CniError. */
export function planForwards(
  mappings: readonly PortMapping[],
  settings: PortSettings,
  pod: { readonly addresses: PodAddresses; readonly devices: ByFamily<string> },
): readonly PortForward[] {
  const forwards = new Map<string, PortForward>();
  for (const family of families) {
    const target = pod.addresses[family];
    if (target === undefined) continue;
    const source = sourceRewrite(settings, pod.devices[family]);
    for (const { hostPort, containerPort, protocol, hostIp } of mappings) {
      // One address of the host is an address of one family.
      if (hostIp !== undefined && hostIp.family !== family) continue;
      const address = hostIp === undefined || isUnspecified(hostIp) ? undefined : hostIp;
      const place: HostPort = { family, address, protocol, port: hostPort };
      const key = `${family} ${hostPortText(place)}`;
      if ((forwards.get(key)?.targetPort ?? containerPort) !== containerPort) throw mappedTwice(place);
      forwards.set(key, { ...place, target, targetPort: containerPort, source });
    }
  }
  return [...forwards.values()];
}

function sourceRewrite({ snat, masqueradeAll, markBit }: PortSettings, device: string | undefined): SourceRewrite {
  if (!snat) return { kind: "none" };
  if (masqueradeAll) return { kind: "all", markBit };
  return device === undefined ? { kind: "none" } : { kind: "local", device, markBit };
}

function mappedTwice(place: HostPort): CniError {
  const message = `failed to parse config: ${hostPortText(place)} is mapped to two container ports`;
  return new CniError(cniCode.invalidConfig, message);
}
