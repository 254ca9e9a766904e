/** What the log says about one look; pure. */
import { formatIp, ipEquals } from "../addr/ip.ts";
import type { Change } from "../backend/change.ts";
import type { Overlay, Peer } from "../backend/overlay.ts";
import type { FailedChange, Outcome } from "../backend/reconcile.ts";
import type { SkippedLease } from "../backend/wanted.ts";

/** More lines of one kind than this become one. */
const mostLines = 20;
/** So many of them are named then. */
const namedInSummary = 3;

/** A line of the log. */
export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly text: string;
}

/** The lines about peers that came, went, or changed between two wanted states; `before` is undefined at the start. */
export function describePeers(before: Overlay | undefined, after: Overlay): readonly LogLine[] {
  const added: string[] = [];
  const changed: string[] = [];
  for (const peer of after.peers) {
    const old = before?.peersBySubnet.get(peer.subnetText);
    if (old === undefined) added.push(`peer ${peer.subnetText} added: ${peerText(peer)}`);
    else if (!samePeer(old, peer)) changed.push(`peer ${peer.subnetText} changed: ${peerText(peer)}`);
  }
  const removed = (before?.peers ?? [])
    .filter((peer) => !after.peersBySubnet.has(peer.subnetText))
    .map((peer) => `peer ${peer.subnetText} removed`);
  return [
    ...linesOf("info", added, "peers"),
    ...linesOf("info", changed, "peers"),
    ...linesOf("info", removed, "peers"),
  ];
}

/** The lines about leases that cannot be used; only those that were not so before. */
export function describeSkipped(before: readonly SkippedLease[], after: readonly SkippedLease[]): readonly LogLine[] {
  const known = new Set(before.map(({ key, reason }) => `${key} ${reason}`));
  const fresh = after.filter(({ key, reason }) => !known.has(`${key} ${reason}`));
  const texts = fresh.map(({ key, reason }) => `lease ${key} skipped: ${reason}`);
  return linesOf("warn", texts, "leases");
}

/**
 * The lines about what was done to the kernel, as far as the peers' lines do not say it: `before` is what was wanted
 * when the kernel was last right.
 */
export function describeOutcome(before: Overlay | undefined, after: Overlay, outcome: Outcome): readonly LogLine[] {
  const repaired: string[] = [];
  const made: string[] = [];
  const removed: string[] = [];
  const peersWent = before !== undefined && before !== after && hasLostPeers(before, after);
  for (const change of outcome.done) {
    if (change.removal) {
      if (!peersWent) removed.push(`${change.problem}: removed`);
    } else if (before === undefined) {
      if (change.peer === undefined) made.push(`${change.problem}: set up`);
    } else if (!isOfChangedPeer(change, before, after)) {
      repaired.push(`${change.problem}: repaired`);
    }
  }
  const refused = outcome.failed.filter(({ fresh }) => fresh).map(failureText);
  return [
    ...linesOf("info", made, "changes"),
    ...linesOf("info", removed, "entries"),
    ...linesOf("warn", repaired, "repairs"),
    ...linesOf("error", refused, "changes"),
  ];
}

/** What keeps the node from being ready, one line each. */
export function describeFailures(failed: readonly FailedChange[]): readonly string[] {
  const texts = failed.map(failureText);
  return texts.length > mostLines ? [...texts.slice(0, mostLines), `and ${texts.length - mostLines} more`] : texts;
}

function failureText({ change, reason }: FailedChange): string {
  return `${change.problem}: ${reason}`;
}

function peerText({ publicIp, mac }: Peer): string {
  return `public IP ${formatIp(publicIp)}, VTEP MAC ${mac}`;
}

function samePeer(left: Peer, right: Peer): boolean {
  return left.mac === right.mac && ipEquals(left.publicIp, right.publicIp);
}

/** True when a peer went or changed: its own line says that, and what it left cannot be told from what was stale. */
function hasLostPeers(before: Overlay, after: Overlay): boolean {
  return before.peers.some((peer) => {
    const now = after.peersBySubnet.get(peer.subnetText);
    return now === undefined || !samePeer(peer, now);
  });
}

function isOfChangedPeer(change: Change, before: Overlay, after: Overlay): boolean {
  if (change.peer === undefined) return false;
  const [old, now] = [before.peersBySubnet.get(change.peer), after.peersBySubnet.get(change.peer)];
  return old === undefined || now === undefined || !samePeer(old, now);
}

/** Each text a line, or one line for all where they are many. */
function linesOf(level: LogLine["level"], texts: readonly string[], kind: string): readonly LogLine[] {
  if (texts.length <= mostLines) return texts.map((text) => ({ level, text }));
  const named = texts.slice(0, namedInSummary).join("; ");
  return [{ level, text: `${texts.length} ${kind}: ${named}; and ${texts.length - namedInSummary} more` }];
}
