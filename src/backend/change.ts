import type { Request } from "../netlink/message.ts";

/** One thing that is not as wanted, and the requests that put it right. */
export interface Change {
  /** For people: `route 10.244.2.0/24 missing`. */
  readonly problem: string;
  /** The subnet of the peer it is about; undefined for the device, and for what no peer wants. */
  readonly peer: string | undefined;
  /** True when something is only taken away. */
  readonly removal: boolean;
  /** May be built anew each time. */
  readonly requests: readonly Request[];
}
