import type { Family } from "../../src/addr/ip.ts";
import { flowAddresses } from "./flows.ts";
import type { TestNetns } from "./netns.ts";

/**
 * Loads the rules that flanneld v0.28 makes in its iptables mode (pkg/trafficmngr/iptables/iptables.go), in its order and
 * with its comments, by iptables or ip6tables itself.
 */
export async function loadUpstreamRules(
  netns: TestNetns,
  family: Family,
  parts: readonly string[] = ["nat", "filter"],
): Promise<void> {
  const { network, subnet } = flowAddresses[family];
  const multicast = family === 4 ? "224.0.0.0/4" : "ff00::/8";
  const masq = ["-m", "comment", "--comment", '"flanneld masq"', "-j"].join(" ");
  const forward = ["-m", "comment", "--comment", '"flanneld forward"', "-j"].join(" ");
  const nat = `*nat
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING ${masq} FLANNEL-POSTRTG
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 ${masq} RETURN
-A FLANNEL-POSTRTG -s ${subnet} -d ${network} ${masq} RETURN
-A FLANNEL-POSTRTG -s ${network} -d ${subnet} ${masq} RETURN
-A FLANNEL-POSTRTG ! -s ${network} -d ${subnet} ${masq} RETURN
-A FLANNEL-POSTRTG -s ${network} ! -d ${multicast} ${masq} MASQUERADE --random-fully
-A FLANNEL-POSTRTG ! -s ${network} -d ${network} ${masq} MASQUERADE --random-fully
COMMIT
`;
  const filter = `*filter
:FLANNEL-FWD - [0:0]
-A FORWARD ${forward} FLANNEL-FWD
-A FLANNEL-FWD -s ${network} ${forward} ACCEPT
-A FLANNEL-FWD -d ${network} ${forward} ACCEPT
COMMIT
`;
  const program = family === 4 ? "iptables-restore" : "ip6tables-restore";
  const stdin = (parts.includes("nat") ? nat : "") + (parts.includes("filter") ? filter : "");
  await netns.run([program, "--noflush"], { stdin });
}
