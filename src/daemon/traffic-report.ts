import { formatCidr } from "../addr/cidr.ts";
import { type ByFamily, families } from "../addr/ip.ts";
import type { Cidr } from "../addr/cidr.ts";
import type { FirewallSettings } from "../firewall/flannel-table.ts";
import type { MasqueradeConfig } from "../lease/masquerade-config.ts";
import type { TrafficOptions } from "./flags.ts";

/** The firewall that flags, configuration and lease ask for, for each address family. */
export function firewallSettings(
  { masquerade, fullyRandom, forward }: TrafficOptions,
  config: MasqueradeConfig,
  lease: { readonly networks: ByFamily<Cidr>; readonly subnets: ByFamily<Cidr> },
): readonly FirewallSettings[] {
  return families.map((family) => {
    const [network, subnet] = [lease.networks[family], lease.subnets[family]];
    return {
      family,
      pods: network === undefined || subnet === undefined ? undefined : { network, subnet },
      masquerade: masquerade && config.enabled[family] ? { fullyRandom, except: config.except[family] } : undefined,
      forward,
    };
  });
}

/**
 * What has to be done where firewalld runs: an accept in one table does not keep another one from rejecting. One call of
 * firewall-cmd takes sources or interfaces, not both.
 */
export function firewalldText(settings: readonly FirewallSettings[]): string {
  const sources = settings.flatMap(({ pods }) =>
    pods === undefined ? [] : [`--add-source=${formatCidr(pods.network)}`],
  );
  const trusted = "firewall-cmd --permanent --zone=trusted";
  const commands = [
    `${trusted} ${sources.join(" ")}`,
    `${trusted} --add-interface=cni0 --add-interface=flannel.1`,
    "firewall-cmd --permanent --add-port=8472/udp",
    "firewall-cmd --reload",
  ];
  return (
    "firewalld runs here, and its table may reject pods' packets whatever other tables accept; to let them pass (8472 is " +
    `the backend's usual port, to be open for the other nodes): ${commands.join(" && ")}`
  );
}
