import type { Family } from "../addr/ip.ts";
import { errorText } from "../base/error.ts";
import type { Request } from "../netlink/message.ts";
import { NFPROTO_INET } from "../netlink/nftables-constants.ts";
import { findTable } from "../netlink/nftables-dump.ts";
import { changeRuleset } from "../netlink/nftables-transaction.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { SyscallError } from "../sys/errno.ts";
import { type FirewallSettings, planFlannelTable } from "./flannel-table.ts";
import { findHostForward, planHostForward } from "./host-forward.ts";
import { planRepair, readTable, type Repair } from "./table.ts";
import { listUpstreamChains, planRemoval, upstreamForwardChain } from "./upstream.ts";

/** What one comparison came to, in lines for people. */
export interface FirewallOutcome {
  /** What was not as wanted and now is. */
  readonly repaired: readonly string[];
  /** What upstream left and is gone now. */
  readonly removed: readonly string[];
  /** What is not as wanted, and why. */
  readonly failed: readonly string[];
  /** What upstream left and could not be removed. It does no harm beside what is ours. */
  readonly notRemoved: readonly string[];
  /** What keeps pods' packets from being forwarded, although nothing failed. */
  readonly obstacles: readonly string[];
}

/**
 * Makes the firewall of one family what is wanted, by what is there: as often as it is called. Each part is a transaction
 * of its own on one generation of the ruleset, and a part that fails stops no other.
 */
export function applyFirewall(socket: NetlinkSocket, settings: FirewallSettings): FirewallOutcome {
  const { family, pods, forward } = settings;
  const plan = planFlannelTable(settings);
  const own = attempt(socket, () => planRepair(readTable(socket, plan), plan));
  const network = forward ? pods?.network : undefined;
  let obstacle: string | undefined;
  const host = attempt(socket, () => {
    const repair = planHostForward(findHostForward(socket, family), network);
    ({ obstacle } = repair);
    return repair;
  });
  const failed = [...own.failed, ...host.failed];
  // Upstream's chains go only when ours are in force: no packet finds neither. Where nothing is ours, they are not either.
  // Where the host keeps ours from doing what upstream's chain does, that one stays.
  const rest =
    failed.length > 0 || pods === undefined ? [] : removeUpstreamChains(socket, family, obstacle !== undefined);
  return {
    repaired: [...own.done, ...host.done],
    removed: rest.flatMap(({ done }) => done),
    failed,
    notRemoved: rest.flatMap((part) => part.failed),
    obstacles: obstacle === undefined ? [] : [`${obstacle}${keptText(socket, settings)}`],
  };
}

/** True when firewalld has its table here, whose rules may reject pods' packets whatever ours say. */
export function hasFirewalld(socket: NetlinkSocket): boolean {
  return findTable(socket, { family: NFPROTO_INET, name: "firewalld" }) !== undefined;
}

/** What one part came to. */
interface Part {
  readonly done: readonly string[];
  readonly failed: readonly string[];
}

function keptText(socket: NetlinkSocket, { family }: FirewallSettings): string {
  const kept = listUpstreamChains(socket, family).some(({ chain }) => chain === upstreamForwardChain);
  return kept ? `; chain ${upstreamForwardChain} of upstream's flanneld, which lets some of them pass, stays` : "";
}

function removeUpstreamChains(socket: NetlinkSocket, family: Family, keepForward: boolean): readonly Part[] {
  const found = listUpstreamChains(socket, family).filter(
    ({ chain }) => !keepForward || chain !== upstreamForwardChain,
  );
  return found.map(({ table, chain }) =>
    attempt(socket, () => {
      const now = listUpstreamChains(socket, family).find(
        (one) => one.chain === chain && one.table.name === table.name,
      );
      return now === undefined ? { problems: [], requests: [] } : planRemoval(now);
    }),
  );
}

/** Plans and commits; what the kernel refuses becomes text. */
function attempt(socket: NetlinkSocket, plan: () => Repair): Part {
  let problems: readonly string[] = [];
  try {
    // Rules of others are named by handles, the rest is ours; what comes in between is told, and looked at.
    changeRuleset(
      socket,
      (): readonly Request[] => {
        const repair = plan();
        ({ problems } = repair);
        return repair.requests;
      },
      { anyGeneration: true },
    );
    return { done: problems, failed: [] };
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const subject = problems.length === 0 ? "" : `${problems.join(", ")}: `;
    return { done: [], failed: [`${subject}${errorText(error)}`] };
  }
}
