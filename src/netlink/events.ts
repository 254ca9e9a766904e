import { allocate } from "../base/bytes.ts";
import { errno, failedWith } from "../sys/errno.ts";
import type { Fd } from "../sys/fd.ts";
import { onReadable, type Readable } from "../sys/readable.ts";
import { attachFilter, bindSocket, openSocket, receiveDatagram, setOption, socketConstants } from "../sys/socket.ts";
import { NETLINK_ADD_MEMBERSHIP, NETLINK_ROUTE, SOL_NETLINK } from "./constants.ts";
import { decodeReplies, type Reply } from "./message.ts";
import { netlinkAddress } from "./socket.ts";

/**
 * Room for a burst of events, in bytes; the kernel takes it twice. Of 20,000 rules that are told of at once, in datagrams of
 * a page, it counts 11 MB. It takes the memory only while they wait to be read.
 */
const receiveBufferSize = 16 * 1024 * 1024;

/**
 * Where so many datagrams were queued, or some came so soon after others, many more are to come: they are left to gather
 * for so long. To be woken costs ten times what it takes to read one.
 */
const burstLength = 3;
const burstGapMs = 20;
const burstRestMs = 10;

/** What a listener is told. */
export interface EventListener {
  /** Instructions by which the kernel leaves events out (table-filter.ts). */
  readonly filter?: Uint8Array;
  /** Asked first of several messages at once, as they came: false passes over all of them without decoding any. */
  concerned?(datagram: Uint8Array): boolean;
  /**
   * A change as the kernel announced it: the message that made it, decoded no further, its body valid during the call.
   * A port that leaves a bridge is announced as an RTM_DELLINK of family AF_BRIDGE: that alone removes no device.
   */
  event(message: Reply): void;
  /** Events were lost, since more came than the socket could hold: anything may have changed. Like: ENOBUFS */
  lost(): void;
}

/** Where net.core.optmem_max leaves no room for the filter, everything is told. */
function tryFilter(fd: Fd, filter: Uint8Array): void {
  try {
    attachFilter(fd, filter);
  } catch (error) {
    if (!failedWith(error, errno.ENOMEM)) throw error;
  }
}

/** Listens to multicast groups of a netlink family: RTNLGRP_…. Like: ip monitor */
export class NetlinkEvents implements Disposable {
  readonly #fd: Fd;
  readonly #listener: EventListener;
  readonly #buffer = allocate(65_536);
  readonly #subscription: Readable | undefined;
  #closed = false;
  /** When something came last, in the clock of performance.now(). */
  #lastAt = -Infinity;

  constructor(groups: readonly number[], listener: EventListener, protocol: number = NETLINK_ROUTE) {
    this.#listener = listener;
    this.#fd = openSocket(socketConstants.AF_NETLINK, socketConstants.SOCK_RAW, protocol);
    try {
      setOption(this.#fd, socketConstants.SOL_SOCKET, socketConstants.SO_RCVBUFFORCE, receiveBufferSize);
      if (listener.filter !== undefined) tryFilter(this.#fd, listener.filter);
      bindSocket(this.#fd, netlinkAddress());
      for (const group of groups) setOption(this.#fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
      this.#subscription = onReadable(this.#fd, () => {
        const count = this.#drain();
        if (count === 0) return;
        const now = performance.now();
        // The first call comes before there is a subscription.
        if (count >= burstLength || now - this.#lastAt < burstGapMs) this.#subscription?.rest(burstRestMs);
        this.#lastAt = now;
      });
    } catch (error) {
      this.#fd[Symbol.dispose]();
      throw error;
    }
  }

  /** May be called by the listener itself. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription?.[Symbol.dispose]();
    this.#fd[Symbol.dispose]();
  }

  /**
   * Tells the listener of all that is queued; called by itself, and by who wants to know of everything until now.
   *
   * A loss is told only when nothing is left to read: until then the kernel drops each further event and does not say so
   * again (net/netlink/af_netlink.c: netlink_overrun, netlink_rcv_wake). What is still queued needs no telling then.
   */
  drain(): void {
    this.#drain();
  }

  /** Returns how many datagrams there were. */
  #drain(): number {
    let lost = false;
    let count = 0;
    for (; !this.#closed; count++) {
      const length = this.#receive();
      if (length === undefined) {
        if (!lost) return count;
        lost = false;
        this.#listener.lost();
      } else if (length === "lost" || length > this.#buffer.length) {
        lost = true;
      } else if (!lost && this.#listener.concerned?.(this.#buffer.subarray(0, length)) !== false) {
        for (const message of decodeReplies(this.#buffer.subarray(0, length))) this.#listener.event(message);
      }
    }
    return count;
  }

  #receive(): number | "lost" | undefined {
    try {
      return receiveDatagram(this.#fd, this.#buffer, socketConstants.MSG_DONTWAIT);
    } catch (error) {
      if (failedWith(error, errno.ENOBUFS)) return "lost";
      throw error;
    }
  }
}
