import { parseCidr } from "../../src/addr/cidr.ts";
import type { Family } from "../../src/addr/ip.ts";
import { applyFirewall, type FirewallOutcome } from "../../src/firewall/firewall.ts";
import type { FirewallSettings } from "../../src/firewall/flannel-table.ts";
import { NETLINK_NETFILTER } from "../../src/netlink/nftables-constants.ts";
import { flowAddresses } from "./flows.ts";
import { openNetlink } from "./netlink-socket.ts";
import type { TestNetns } from "./netns.ts";

/** What the daemon would want with --ip-masq in the network of the flows. */
export function settingsOf(family: Family, except: readonly string[] = []): FirewallSettings {
  const { network, subnet } = flowAddresses[family];
  return {
    family,
    pods: { network: parseCidr(network), subnet: parseCidr(subnet) },
    masquerade: { fullyRandom: true, except: except.map(parseCidr) },
    forward: true,
  };
}

/** Makes a namespace's firewall what is wanted, as the daemon does. */
export function apply(netns: TestNetns, settings: FirewallSettings): FirewallOutcome {
  using socket = openNetlink(netns, NETLINK_NETFILTER);
  return applyFirewall(socket, settings);
}
