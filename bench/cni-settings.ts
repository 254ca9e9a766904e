/**
 * What is measured: one entry for each table of results. To measure more (host ports, masquerade by the delegate), add
 * an entry with the bounds that count.
 */
import type { JsonObject } from "../src/base/decode.ts";

/** What can have a bound. For all of them less is better. */
export type Measure = "ADD p50" | "ADD p99" | "DEL p50" | "DEL p99" | "CPU of ADD + DEL" | "time of 100 ADDs";

/** How much of upstream's value a chain of ours may have: (a) the conflist we ship, (b) the stock one in our executable. */
export interface Bound {
  readonly measure: Measure;
  readonly a: number;
  readonly b: number | undefined;
}

/** One way to use a node, measured for all chains in alternation. */
export interface Setting {
  readonly title: string;
  /** FLANNEL_IPMASQ in subnet.env; with false the delegate has to masquerade. */
  readonly daemonMasquerades: boolean;
  /** Addresses that other pods have before. */
  readonly taken: number;
  /** The host ports that a pod asks for, handed to plugins with the capability `portMappings`. */
  readonly portMappings: (podNumber: number) => readonly JsonObject[];
  /** Pods of each chain; so many of them exist at once. A node has up to 110 (the kubelet's default). */
  readonly pods: number;
  readonly podsAtOnce: number;
  /** Pods that are added, or deleted, at the same time. */
  readonly parallel: number;
  readonly bounds: readonly Bound[];
}

const plain = {
  daemonMasquerades: true,
  taken: 0,
  portMappings: (): readonly JsonObject[] => [],
  pods: 200,
  podsAtOnce: 50,
  parallel: 1,
};

/** The settings, in the order in which they are measured. */
export const settings: readonly [Setting, ...Setting[]] = [
  {
    ...plain,
    title: "one pod at a time",
    bounds: [
      { measure: "ADD p50", a: 0.3, b: 0.55 },
      { measure: "ADD p99", a: 0.5, b: 0.7 },
      { measure: "DEL p50", a: 0.7, b: 0.9 },
      { measure: "CPU of ADD + DEL", a: 0.35, b: 0.6 },
    ],
  },
  {
    ...plain,
    title: "16 pods at a time",
    pods: 300,
    podsAtOnce: 100,
    parallel: 16,
    // Three times, and 1.6 times, as many a second.
    bounds: [{ measure: "time of 100 ADDs", a: 1 / 3, b: 1 / 1.6 }],
  },
  {
    ...plain,
    title: "one pod at a time, 4,000 addresses of a /20 taken",
    taken: 4000,
    pods: 100,
    podsAtOnce: 20,
    bounds: [{ measure: "ADD p50", a: 0.15, b: undefined }],
  },
];
