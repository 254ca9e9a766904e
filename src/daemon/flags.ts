import { type ArgsDef, parseArgs, renderUsage } from "citty";
import { findIp, type IpAddress, isMulticast, isUnspecified } from "../addr/ip.ts";
import { errorText } from "../base/error.ts";
import { FlagError, type GivenFlag, readFlagEnvironment, readFlagWords } from "./flag-syntax.ts";
import { findFlag, flagTable } from "./flag-table.ts";
import { compileGoRegexp } from "./go-regexp.ts";
import type { InterfacePattern, InterfaceRule } from "./interface.ts";
import { FlagValues } from "./flag-values.ts";
import { decodeSource, type SourceOptions } from "./source-flags.ts";

/** What the daemon was asked to do. */
export type Invocation =
  | { readonly kind: "version" }
  | { readonly kind: "help" }
  | { readonly kind: "run"; readonly options: DaemonOptions; readonly notes: readonly string[] };

/** How the daemon is to run. */
export interface DaemonOptions {
  readonly source: SourceOptions;
  /** Where the external interface is looked for; nothing takes the default route's. */
  readonly interfaces: InterfaceRule["interfaces"];
  readonly interfacePatterns: InterfaceRule["interfacePatterns"];
  readonly reach: InterfaceRule["reach"];
  /** Where other nodes send to; undefined takes the external interface's address. */
  readonly publicIp: IpAddress | undefined;
  readonly stateDirectory: string;
  readonly subnetFile: string;
  readonly health: { readonly ip: string; readonly port: number };
  readonly traffic: TrafficOptions;
}

/** What the firewall is to do for pods' packets. */
export interface TrafficOptions {
  readonly masquerade: boolean;
  /** Whether masqueraded packets get their ports at random. */
  readonly fullyRandom: boolean;
  readonly forward: boolean;
}

/**
 * Reads flags and environment; what is on the command line goes before the environment. Throws a FlagError that names
 * what is unknown, wrong, or not built yet.
 */
export function parseInvocation(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Invocation {
  const typed = readFlagWords(words);
  if (typed.some(({ name, value }) => name === "help" && value === "true")) return { kind: "help" };
  const typedNames = new Set(typed.map(({ name }) => name));
  const environment = readFlagEnvironment(env);
  const given = [...typed, ...environment.given.filter(({ name }) => !typedNames.has(name))];
  for (const flag of given) refuseUnbuilt(flag);
  const values: Readonly<Record<string, unknown>> = parseArgs([...canonicalWords(given)], workingFlags());
  if (values["help"] === true) return { kind: "help" };
  if (values["version"] === true) return { kind: "version" };
  const notes = [...environment.notes, ...notesOf(given)];
  return { kind: "run", options: decodeOptions(new FlagValues(values, given), env), notes };
}

/** The text of --help. */
export async function usageText(): Promise<string> {
  const usage = await renderUsage({
    meta: { name: "flanneld", description: "flannel's daemon" },
    args: workingFlags(),
  });
  const idle = Object.entries(flagTable).flatMap(([name, spec]) => (spec.idle === undefined ? [] : [`--${name}`]));
  return [
    Bun.stripANSI(usage).replaceAll(/ +$/gm, "").trimEnd(),
    "Each flag is also read from the environment: --subnet-file is FLANNELD_SUBNET_FILE.",
    `Taken as flannel's, without effect here: ${idle.join(", ")}.`,
  ].join("\n\n");
}

/** Written `--name=value`: citty drops `-name value` without an error. */
function canonicalWords(given: readonly GivenFlag[]): readonly string[] {
  return given.flatMap(({ name, value }) => (findFlag(name)?.idle === undefined ? [`--${name}=${value}`] : []));
}

/** As citty takes them. */
function workingFlags(): ArgsDef {
  const flags: ArgsDef = {};
  for (const [name, spec] of Object.entries(flagTable)) {
    if (spec.missing !== undefined || spec.idle !== undefined) continue;
    const { description } = spec;
    if (spec.kind === "boolean") flags[name] = { type: "boolean", description };
    else flags[name] = { type: "string", description, ...(spec.default === "" ? {} : { default: spec.default }) };
  }
  return flags;
}

function refuseUnbuilt({ name, value, shown }: GivenFlag): void {
  const spec = findFlag(name);
  if (spec?.missing === undefined || value === spec.default || value === "") return;
  const given = name.includes("password") ? "" : ` with value "${value}"`;
  throw new FlagError(`Cannot use ${shown}${given}: ${spec.missing} is not built yet`);
}

/** A line for each flag that is taken and changes nothing, also where it says what holds anyway. */
function notesOf(given: readonly GivenFlag[]): readonly string[] {
  const lines = given.flatMap(({ name, shown }) => {
    const idle = findFlag(name)?.idle;
    return idle === undefined ? [] : [`${shown} has no effect here: ${idle}`];
  });
  return [...new Set(lines)];
}

function decodeOptions(flags: FlagValues, env: Readonly<Record<string, string | undefined>>): DaemonOptions {
  const publicText = flags.text("public-ip");
  const publicIp = publicText === "" ? undefined : findIp(publicText);
  if (publicText !== "" && (publicIp?.family !== 4 || isUnspecified(publicIp) || isMulticast(publicIp))) {
    flags.wrong("public-ip", "the IPv4 address of a node");
  }
  const reachText = flags.text("iface-can-reach");
  const reach = reachText === "" ? undefined : findIp(reachText);
  if (reachText !== "" && reach?.family !== 4) flags.wrong("iface-can-reach", "an IPv4 address");
  if (findIp(flags.text("healthz-ip")) === undefined) flags.wrong("healthz-ip", "an IP address");
  if (flags.text("subnet-file") === "") flags.wrong("subnet-file", "the path of a file");
  // As upstream, which takes every number that is not above 0 for none.
  const port = Math.max(0, Number(flags.text("healthz-port")));
  if (port > 65_535) flags.wrong("healthz-port", "a port, 0 to 65535");
  const margin = flags.given("subnet-lease-renew-margin").map(Number);
  if (margin.some((minutes) => minutes < 1 || minutes > 1439)) {
    flags.wrong("subnet-lease-renew-margin", "a number of minutes, 1 to 1439");
  }
  return {
    source: decodeSource(flags, env),
    interfaces: flags.given("iface"),
    interfacePatterns: flags.given("iface-regex").map((text) => parsePattern(text, flags)),
    reach,
    publicIp,
    stateDirectory: flags.text("state-dir"),
    subnetFile: flags.text("subnet-file"),
    health: { ip: flags.text("healthz-ip"), port },
    traffic: {
      masquerade: flags.isSet("ip-masq", false),
      fullyRandom: !flags.isSet("ip-masq-fully-random-disable", false),
      // Without a default of citty's, whose help would then name a flag --no-…, which there is not.
      forward: flags.isSet("iptables-forward-rules", true),
    },
  };
}

function parsePattern(text: string, flags: FlagValues): InterfacePattern {
  try {
    return { text, regexp: compileGoRegexp(text) };
  } catch (error) {
    return flags.wrong("iface-regex", `a regular expression as Go has them (${errorText(error)})`);
  }
}
