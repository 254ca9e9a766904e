import { type ArgsDef, parseArgs, renderUsage } from "citty";
import { findIp, type IpAddress, isMulticast, isUnspecified } from "../addr/ip.ts";
import { FlagError, type GivenFlag, readFlagEnvironment, readFlagWords } from "./flag-syntax.ts";
import { findFlag, flagTable } from "./flag-table.ts";

/** What the daemon was asked to do. */
export type Invocation =
  | { readonly kind: "version" }
  | { readonly kind: "help" }
  | { readonly kind: "run"; readonly options: DaemonOptions };

/** How the daemon is to run. */
export interface DaemonOptions {
  readonly leaseDirectory: string;
  /** Addresses or names, in the order in which they are tried; none takes the default route's interface. */
  readonly interfaces: readonly string[];
  /** Where other nodes send to; undefined takes the external interface's address. */
  readonly publicIp: IpAddress | undefined;
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
  const given = [...typed, ...readFlagEnvironment(env).filter(({ name }) => !typedNames.has(name))];
  for (const flag of given) refuseUnbuilt(flag);
  const values: Readonly<Record<string, unknown>> = parseArgs([...canonicalWords(given)], workingFlags());
  if (values["help"] === true) return { kind: "help" };
  if (values["version"] === true) return { kind: "version" };
  return { kind: "run", options: decodeOptions(values, given) };
}

/** The text of --help. */
export async function usageText(): Promise<string> {
  const usage = await renderUsage({
    meta: { name: "flanneld", description: "flannel's daemon" },
    args: workingFlags(),
  });
  return `${Bun.stripANSI(usage).replaceAll(/ +$/gm, "").trimEnd()}\n\nEach flag is also read from the environment: --subnet-file is FLANNELD_SUBNET_FILE.`;
}

/** Written `--name=value`: citty drops `-name value` without an error. */
function canonicalWords(given: readonly GivenFlag[]): readonly string[] {
  return given.map(({ name, value }) => `--${name}=${value}`);
}

/** As citty takes them. */
function workingFlags(): ArgsDef {
  const flags: ArgsDef = {};
  for (const [name, spec] of Object.entries(flagTable)) {
    if (spec.missing !== undefined) continue;
    const { description } = spec;
    if (spec.kind === "boolean") flags[name] = { type: "boolean", description };
    else flags[name] = { type: "string", description, ...(spec.default === "" ? {} : { default: spec.default }) };
  }
  return flags;
}

function refuseUnbuilt({ name, value, shown }: GivenFlag): void {
  const spec = findFlag(name);
  if (spec?.missing === undefined || value === spec.default) return;
  const given = name.includes("password") ? "" : ` with value "${value}"`;
  throw new FlagError(`Cannot use ${shown}${given}: ${spec.missing} is not built yet`);
}

function decodeOptions(values: Readonly<Record<string, unknown>>, given: readonly GivenFlag[]): DaemonOptions {
  const leaseDirectory = text("lease-dir");
  if (leaseDirectory === "") {
    throw new FlagError(
      "Cannot start: no lease source is given, and etcd, which flannel takes then, is not built yet; give --lease-dir DIR",
    );
  }
  const publicText = text("public-ip");
  const publicIp = publicText === "" ? undefined : findIp(publicText);
  if (publicText !== "" && (publicIp?.family !== 4 || isUnspecified(publicIp) || isMulticast(publicIp))) {
    wrong("public-ip", "the IPv4 address of a node");
  }
  if (findIp(text("healthz-ip")) === undefined) wrong("healthz-ip", "an IP address");
  if (text("subnet-file") === "") wrong("subnet-file", "the path of a file");
  const port = Number(text("healthz-port"));
  if (port > 65_535) wrong("healthz-port", "a port, 0 to 65535");
  return {
    leaseDirectory,
    interfaces: given.filter(({ name }) => name === "iface").map(({ value }) => value),
    publicIp,
    subnetFile: text("subnet-file"),
    health: { ip: text("healthz-ip"), port },
    traffic: {
      masquerade: values["ip-masq"] === true,
      fullyRandom: values["ip-masq-fully-random-disable"] !== true,
      // Without a default of citty's, whose help would then name a flag --no-…, which there is not.
      forward: values["iptables-forward-rules"] !== false,
    },
  };

  function text(name: string): string {
    const value = values[name];
    return typeof value === "string" ? value : "";
  }

  function wrong(name: string, wanted: string): never {
    const shown = given.find((flag) => flag.name === name)?.shown ?? `--${name}`;
    throw new FlagError(`Cannot use ${shown} with value "${text(name)}": it must be ${wanted}`);
  }
}
