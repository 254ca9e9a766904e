import { usualLimits, watchLimits } from "./api.ts";
import type { TransportLimits } from "./transport.ts";

/** How long to wait for what, in milliseconds. */
export interface WatchTiming {
  readonly request: TransportLimits;
  readonly watch: TransportLimits;
  /** Between two parts of a list that comes as a watch. */
  readonly listIdleMs: number;
  /** After the first failure; doubled after each further one. */
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
}

export const usualTiming: WatchTiming = {
  request: usualLimits,
  watch: watchLimits,
  listIdleMs: 30_000,
  firstRetryMs: 500,
  longestRetryMs: 30_000,
};
