import { parseJson, Decoder } from "../../src/base/decode.ts";
import { runCommand } from "./command.ts";
import type { TestNetns } from "./netns.ts";

/** A link as `ip -j -d link` shows it. */
export interface LinkState {
  readonly name: string;
  /** `veth`, `bridge`, `vxlan`, …; undefined for a plain device such as lo. */
  readonly kind: string | undefined;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly master: string | undefined;
  /** What `ip` shows of the kind's own settings, of a bridge port's under `port`. */
  readonly settings: Decoder;
  readonly port: Decoder;
}

/** An address as `ip -j addr` shows it. */
export interface AddressState {
  readonly device: string;
  /** With the length of its prefix: `10.244.1.1/24`. */
  readonly address: string;
  readonly scope: string;
}

/** A route as `ip -j route` shows it. */
export interface RouteState {
  readonly destination: string;
  readonly gateway: string | undefined;
  readonly device: string;
  readonly protocol: string;
  readonly scope: string | undefined;
  readonly flags: readonly string[];
}

/** A neighbour as `ip -j neigh`, or an FDB entry as `bridge -j fdb`, shows it. */
interface NeighbourState {
  readonly device: string;
  /** The address it is found by: of IP for a neighbour, of a peer for an FDB entry, if that has one. */
  readonly destination: string | undefined;
  readonly mac: string | undefined;
  readonly state: readonly string[];
}

/** The links of a namespace, lo among them, in the kernel's order. */
export async function listLinks(netns: TestNetns): Promise<readonly LinkState[]> {
  const items = await listJson(["ip", "-n", netns.name, "-j", "-d", "link", "show"]);
  return items.map((item) => {
    const info = item.field("linkinfo");
    return {
      name: text(item, "ifname"),
      kind: info.field("info_kind").string(),
      mac: item.field("address").string() ?? "",
      mtu: item.field("mtu").integer() ?? 0,
      up: words(item.field("flags")).includes("UP"),
      master: item.field("master").string(),
      settings: info.field("info_data"),
      port: info.field("info_slave_data"),
    };
  });
}

/** One link; undefined when there is none of that name. */
export async function findLink(netns: TestNetns, name: string): Promise<LinkState | undefined> {
  const links = await listLinks(netns);
  return links.find((link) => link.name === name);
}

/** The addresses of a namespace but for those of lo and the link-local ones, which the kernel makes. */
export async function listAddresses(netns: TestNetns): Promise<readonly AddressState[]> {
  const items = await listJson(["ip", "-n", netns.name, "-j", "addr", "show"]);
  const addresses = items.flatMap((item) =>
    item
      .field("addr_info")
      .list()
      // iproute2 shows an empty object for an address that went away while it looked.
      .filter((info) => info.field("local").string() !== undefined)
      .map((info) => ({
        device: text(item, "ifname"),
        address: `${text(info, "local")}/${info.field("prefixlen").integer() ?? 0}`,
        scope: text(info, "scope"),
      })),
  );
  return addresses.filter(({ device, address }) => device !== "lo" && !address.startsWith("fe80:"));
}

/** The unicast routes of a namespace's main table, both families. */
export async function listRoutes(netns: TestNetns): Promise<readonly RouteState[]> {
  const items = [
    ...(await listJson(["ip", "-n", netns.name, "-4", "-j", "route", "show"])),
    ...(await listJson(["ip", "-n", netns.name, "-6", "-j", "route", "show"])),
  ];
  const routes = items.map((item) => ({
    destination: text(item, "dst"),
    gateway: item.field("gateway").string(),
    device: item.field("dev").string() ?? "",
    protocol: item.field("protocol").string() ?? "boot",
    scope: item.field("scope").string(),
    flags: words(item.field("flags")),
  }));
  return routes.filter(({ destination }) => !destination.startsWith("fe80:"));
}

/** The neighbours of a namespace. */
export async function listNeighbours(netns: TestNetns): Promise<readonly NeighbourState[]> {
  const items = await listJson(["ip", "-n", netns.name, "-j", "neigh", "show"]);
  return items.map((item) => ({
    device: text(item, "dev"),
    destination: item.field("dst").string(),
    mac: item.field("lladdr").string(),
    state: words(item.field("state")),
  }));
}

/** The FDB entries of a namespace, or of one device in it. */
export async function listForwarding(netns: TestNetns, device?: string): Promise<readonly NeighbourState[]> {
  const filter = device === undefined ? [] : ["dev", device];
  const items = await listJson(["bridge", "-n", netns.name, "-j", "fdb", "show", ...filter]);
  return items.map((item) => ({
    device: item.field("ifname").string() ?? device ?? "",
    destination: item.field("dst").string(),
    mac: item.field("mac").string(),
    state: [item.field("state").string() ?? "", ...words(item.field("flags"))].filter((word) => word !== ""),
  }));
}

/** The nf_tables rules of a namespace as `nft -j` shows them, without the line that tells nft's version. */
export async function listRuleset(netns: TestNetns): Promise<readonly Decoder[]> {
  const { stdout } = await netns.run(["nft", "-j", "list", "ruleset"]);
  const items = new Decoder(parseJson(stdout)).field("nftables").list();
  return items.filter((item) => item.field("metainfo").absent);
}

/**
 * The whole state as sorted lines that read like `ip`, for "as expected" and for "the same as before". What differs from
 * run to run by itself (indexes, MAC addresses, learnt neighbours) is left out.
 */
export async function describeKernel(netns: TestNetns): Promise<readonly string[]> {
  const links = await listLinks(netns);
  const addresses = await listAddresses(netns);
  const routes = await listRoutes(netns);
  const rules = await listRuleset(netns);
  return [
    ...links.filter(({ name }) => name !== "lo").map(describeLink),
    ...addresses.map(({ device, address }) => `address ${address} dev ${device}`),
    ...routes.map(describeRoute),
    ...rules.map(({ value }) => `nft ${JSON.stringify(value)}`),
  ].toSorted();
}

/** A link as one line. */
function describeLink(link: LinkState): string {
  const kind = link.kind === undefined ? "" : ` type ${link.kind}`;
  const master = link.master === undefined ? "" : ` master ${link.master}`;
  return `link ${link.name}${kind} mtu ${link.mtu} ${link.up ? "up" : "down"}${master}`;
}

/** A route as one line, but for the flag that only follows the carrier. */
function describeRoute(route: RouteState): string {
  const gateway = route.gateway === undefined ? "" : ` via ${route.gateway}`;
  const lasting = route.flags.filter((flag) => flag !== "linkdown");
  const flags = lasting.map((flag) => ` ${flag}`).join("");
  return `route ${route.destination}${gateway} dev ${route.device} proto ${route.protocol}${flags}`;
}

async function listJson(argv: readonly string[]): Promise<readonly Decoder[]> {
  const { stdout } = await runCommand(argv);
  // iproute2 prints nothing at all for some empty lists.
  return new Decoder(parseJson(stdout.trim() === "" ? "[]" : stdout)).list();
}

function text(item: Decoder, key: string): string {
  const field = item.field(key);
  return field.string() ?? field.fail("a string");
}

function words(list: Decoder): readonly string[] {
  return list.list().map((word) => word.string() ?? "");
}
