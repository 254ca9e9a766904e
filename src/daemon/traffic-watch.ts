import { podTables } from "../firewall/pod-events.ts";
import { FirewallEvents, heardTables } from "../firewall/relevance.ts";
import { NetlinkEvents } from "../netlink/events.ts";
import type { Reply } from "../netlink/message.ts";
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES } from "../netlink/nftables-constants.ts";
import { tableFilter } from "../netlink/table-filter.ts";
import type { PodRules } from "./pod-rules.ts";
import { LookSchedule } from "./schedule.ts";
import type { Traffic } from "./traffic.ts";

/** Others may change thousands of rules a second in the chains that are read: a twenty-fifth of a core for that. */
const rest = { factor: 25, longestMs: 800 };

/**
 * Listens to nf_tables. Looks at the firewall when somebody has changed what is wanted there (the node's own looks do so as
 * well), and tells the keeper of the pods' tables what happens to those.
 */
export class TrafficWatch implements Disposable {
  readonly #parts = new DisposableStack();
  readonly #schedule: LookSchedule;

  /** `changed` is told when a look found more or less missing than before, `failed` what a look threw. */
  constructor(traffic: Traffic, pods: PodRules, changed: () => void, failed: (error: unknown) => void) {
    this.#schedule = this.#parts.use(
      new LookSchedule(
        async () => {
          const before = traffic.missing.length;
          traffic.look();
          if (traffic.missing.length !== before) changed();
          return undefined;
        },
        failed,
        rest,
      ),
    );
    const filter = new FirewallEvents();
    const { keeper } = pods;
    const listener = {
      filter: tableFilter([...heardTables, ...podTables]),
      concerned: (datagram: Uint8Array): boolean => {
        if (!this.#schedule.asked && filter.concerns(datagram, traffic.port)) this.#schedule.ask();
        return keeper.events.mayConcern(datagram);
      },
      event: (event: Reply): void => keeper.events.event(event),
      lost: (): void => {
        keeper.lost();
        this.#schedule.ask();
      },
    };
    pods.start(this.#parts.use(new NetlinkEvents([NFNLGRP_NFTABLES], listener, NETLINK_NETFILTER)));
  }

  /** Settles when all that was asked for before has been looked at. */
  settled(): Promise<void> {
    return this.#schedule.settled();
  }

  [Symbol.dispose](): void {
    this.#parts[Symbol.dispose]();
  }
}
