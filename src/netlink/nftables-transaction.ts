import type { ByteWriter } from "../base/bytes.ts";
import { errno } from "../sys/errno.ts";
import { Attributes } from "./attribute.ts";
import { buildRequest, NetlinkError, type Request } from "./message.ts";
import * as n from "./nftables-constants.ts";
import { findBe32, putBe32 } from "./nftables-expression.ts";
import { tableRequest } from "./nftables.ts";
import type { NetlinkSocket } from "./socket.ts";

/** "Interrupted system call should be restarted" (include/uapi/asm-generic/errno.h): node's tables of numbers lack it. */
const ERESTART = 85;
/** So long a change is planned anew because others committed meanwhile. */
const limitMs = 10_000;
/** So often at once; then with pauses of chance lengths, so that two who wait for the same gap do not meet again. */
const attemptsAtOnce = 20;
const longestPauseMs = 4;
/** So often on the generation that was read, before a change that is right on any is sent without it. */
const guardedAttempts = 10;
/** How often the kernel may refuse such a change, because something that it names has just gone. */
const raceAttempts = 3;

/** What the kernel refused in a transaction: one of its requests, or the transaction itself. */
interface TransactionRefusal {
  readonly request: Request | undefined;
  readonly error: NetlinkError;
}

export type TransactionOutcome =
  | { readonly kind: "done" }
  /** The ruleset is no longer of the generation given: it was changed by another process. Nothing was done. */
  | { readonly kind: "stale" }
  /** Nothing was done. */
  | { readonly kind: "refused"; readonly refusals: readonly TransactionRefusal[] };

/** The number of the ruleset's generation; each transaction of anybody makes a new one. */
export function readGeneration(socket: NetlinkSocket): number {
  const request = tableRequest(n.NFT_MSG_GETGEN, 0, "read the ruleset's generation", { family: 0 }, () => {});
  for (const reply of socket.request(request)) {
    if (reply.type !== ((n.NFNL_SUBSYS_NFTABLES << 8) | n.NFT_MSG_NEWGEN)) continue;
    const generation = findBe32(new Attributes(reply.body.subarray(4)), n.NFTA_GEN_ID);
    if (generation !== undefined) return generation;
  }
  throw new NetlinkError(request.text, errno.ENODATA);
}

/** Sends requests as one transaction; with a generation only if the ruleset still has it. The socket is a netfilter one. */
export function commit(socket: NetlinkSocket, requests: readonly Request[], generation?: number): TransactionOutcome {
  if (requests.length === 0) return { kind: "done" };
  const framed = [
    frame(n.NFNL_MSG_BATCH_BEGIN, "change the ruleset", generation),
    ...requests,
    frame(n.NFNL_MSG_BATCH_END, "end the transaction"),
  ];
  const refusals = socket.transaction(framed);
  if (refusals.length === 0) return { kind: "done" };
  if (refusals.some(({ index, error }) => index === 0 && error.errno === ERESTART)) return { kind: "stale" };
  return { kind: "refused", refusals: refusals.map(({ index, error }) => ({ request: requests[index - 1], error })) };
}

/** Like commit, but throws the first refusal. */
export function commitOrThrow(socket: NetlinkSocket, requests: readonly Request[]): void {
  const outcome = commit(socket, requests);
  if (outcome.kind === "refused") throw firstError(outcome.refusals);
}

/** What a change may rely on. */
export interface ChangeTerms {
  /**
   * True when the requests are right on whatever generation they meet: each names what it removes by a handle, which no
   * other thing ever gets, or is about what nobody else has. Then no others keep it from happening, however fast they commit.
   */
  readonly anyGeneration: boolean;
}

/**
 * Reads, plans and commits, all on one generation of the ruleset: `plan` reads what it needs and says what to send, and
 * is called again when another process committed in between. Returns what was sent. Throws the first refusal, and a
 * NetlinkError (EINTR) when others left no gap for it in 10 s.
 */
export function changeRuleset(
  socket: NetlinkSocket,
  plan: () => readonly Request[],
  { anyGeneration }: ChangeTerms = { anyGeneration: false },
): readonly Request[] {
  const end = performance.now() + limitMs;
  let races = 0;
  let attempt = 1;
  for (; performance.now() < end; attempt++) {
    const free = anyGeneration && attempt > guardedAttempts;
    const generation = free ? undefined : readGeneration(socket);
    const requests = plan();
    const outcome = commit(socket, requests, generation);
    if (outcome.kind === "done") return requests;
    if (outcome.kind === "refused" && (!free || ++races > raceAttempts)) throw firstError(outcome.refusals);
    if (attempt > attemptsAtOnce) Bun.sleepSync(Math.random() * longestPauseMs);
  }
  const tries = `others changed it during each of ${attempt - 1} attempts in ${limitMs / 1000} s`;
  throw new NetlinkError("change the ruleset", errno.EINTR, tries);
}

/** A socket for nf_tables takes messages of nfnetlink's own in front and behind (include/uapi/linux/netfilter/nfnetlink.h). */
function frame(type: number, text: string, generation?: number): Request {
  return buildRequest(type, 0, text, (writer: ByteWriter) => {
    writer.zeros(2).be16(n.NFNL_SUBSYS_NFTABLES);
    if (generation !== undefined) putBe32(writer, n.NFNL_BATCH_GENID, generation);
  });
}

function firstError(refusals: readonly TransactionRefusal[]): NetlinkError {
  return refusals[0]?.error ?? new NetlinkError("change the ruleset", errno.EIO);
}
