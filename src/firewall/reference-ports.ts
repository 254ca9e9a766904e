/**
 * Host ports that the reference portmap (plugins v1.9.1) has led to a pod, by either of its backends: its rules and ours
 * look at the same packets, and which of them come first is not for us to say.
 */
import type { Family } from "../addr/ip.ts";
import { bytesEqual, readU16 } from "../base/bytes.ts";
import * as n from "../netlink/nftables-constants.ts";
import { type FoundRule, listRules } from "../netlink/nftables-dump.ts";
import { getChain, getTable, type Table, tableFamily, tableText } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { hostPortText, type PortForward } from "./host-ports.ts";

/** A host port that rules of the reference's have. */
export interface ReferencePort {
  /** `host port 8080/tcp` */
  readonly text: string;
  /** What the rules say of the container: its id, or with iptables also its network. */
  readonly owner: string;
  /** Where they stand: `chain ip nat CNI-DN-…` */
  readonly place: string;
}

/** The chain that leads to those of containers, and the table of the nft backend with the chain of its rules. */
const entryChain = "CNI-HOSTPORT-DNAT";
const portTable = "cni_hostport";
const portChain = "hostports";

const destinationOffset = { 4: 16, 6: 24 } as const;
const addressLength = { 4: 4, 6: 16 } as const;
/** Where struct xt_tcp, xt_udp and xt_sctp_info have the first of the destination's ports, in host order. */
const portOffset: Readonly<Record<string, number>> = { tcp: 4, udp: 4, sctp: 0 };

/**
 * The first of the host ports that the reference has led to another address than ours, undefined when there is none. Four
 * questions, where it made none: nothing is read then.
 */
export function findReferencePort(socket: NetlinkSocket, forwards: readonly PortForward[]): ReferencePort | undefined {
  const used = new Set(forwards.map(({ family }) => family));
  const places = [...used].map((family) => ({
    own: forwards.filter((forward) => forward.family === family),
    nat: { family: tableFamily(family), name: "nat" },
    ports: { family: tableFamily(family), name: portTable },
  }));
  const replies = socket.ask(places.flatMap(({ nat, ports }) => [getChain(nat, entryChain), getTable(ports)]));
  for (const [index, { own, nat, ports }] of places.entries()) {
    if (replies[2 * index] !== undefined) {
      const found = findInIptables(socket, nat, own);
      if (found !== undefined) return found;
    }
    if (replies[2 * index + 1] !== undefined) {
      const found = findInChain(socket, ports, portChain, own);
      if (found !== undefined) return { ...found, owner: `container ${found.rule.comment ?? "?"}` };
    }
  }
  return undefined;
}

/** Each rule of the entry chain names up to 15 ports of one container. */
function findInIptables(socket: NetlinkSocket, table: Table, own: readonly PortForward[]): ReferencePort | undefined {
  for (const rule of listRules(socket, table, entryChain)) {
    const ports = multiport(rule);
    if (ports !== undefined && !own.some(({ port }) => ports.has(port))) continue;
    const chain = jumpOf(rule);
    const found = chain === undefined ? undefined : findInChain(socket, table, chain, own);
    if (found !== undefined) return { ...found, owner: ownerOf(rule) };
  }
  return undefined;
}

function findInChain(
  socket: NetlinkSocket,
  table: Table,
  chain: string,
  own: readonly PortForward[],
): (Omit<ReferencePort, "owner"> & { readonly rule: FoundRule }) | undefined {
  for (const rule of listRules(socket, table, chain)) {
    const forward = own.find((one) => isHeldBy(rule, one));
    if (forward !== undefined)
      return { text: hostPortText(forward), place: `chain ${tableText(table)} ${chain}`, rule };
  }
  return undefined;
}

/** What leads to the address that this pod has now is left of one that is gone. */
function isHeldBy(rule: FoundRule, { family, address, protocol, port, target }: PortForward): boolean {
  const found = decodeForward(rule, family);
  if (found?.protocol !== protocol || found.port !== port) return false;
  if (address !== undefined && found.address !== undefined && !bytesEqual(address.bytes, found.address)) return false;
  return found.target === undefined || !bytesEqual(found.target, target.bytes);
}

/** What a rule leads where: of all addresses where none is said. */
interface FoundForward {
  protocol?: number | undefined;
  port?: number | undefined;
  address?: Uint8Array | undefined;
  target?: Uint8Array | undefined;
}

/** Undefined for a rule that leads nowhere. */
function decodeForward({ expressions }: FoundRule, family: Family): FoundForward | undefined {
  const found: FoundForward = {};
  let load = "";
  for (const { name, values } of expressions) {
    const [first, second, third, fourth] = values;
    if (name === "meta") load = second === n.NFT_META_L4PROTO ? "protocol" : "";
    else if (name === "payload") load = loadOf(family, second, third, fourth);
    else if (name === "cmp" && third instanceof Uint8Array) {
      if (load === "protocol") found.protocol = third[0];
      else if (load === "port") found.port = ((third[0] ?? 0) << 8) | (third[1] ?? 0);
      else if (load === "address") found.address = third;
    } else if (name === "match" && typeof first === "string" && third instanceof Uint8Array) {
      const offset = portOffset[first];
      if (offset !== undefined) found.port = readU16(third, offset);
    } else if (name === "immediate" && second instanceof Uint8Array) {
      if (second.length === addressLength[family]) found.target = second;
    } else if (name === "nat") {
      return found;
    } else if (name === "target" && first === "DNAT" && third instanceof Uint8Array) {
      // struct nf_nat_range2: flags, then the first address.
      return { ...found, target: third.subarray(4, 4 + addressLength[family]) };
    }
  }
  return undefined;
}

function loadOf(family: Family, base: unknown, offset: unknown, length: unknown): string {
  if (base === n.NFT_PAYLOAD_TRANSPORT_HEADER) return offset === 2 && length === 2 ? "port" : "";
  return offset === destinationOffset[family] && length === addressLength[family] ? "address" : "";
}

/** The ports of struct xt_multiport_v1, undefined for a rule that asks for them in another way. */
function multiport({ expressions }: FoundRule): ReadonlySet<number> | undefined {
  const info = expressions.find(({ name, values }) => name === "match" && values[0] === "multiport")?.values[2];
  if (!(info instanceof Uint8Array)) return undefined;
  return new Set(Array.from({ length: info[1] ?? 0 }, (_, index) => readU16(info, 2 + 2 * index)));
}

function jumpOf({ expressions }: FoundRule): string | undefined {
  for (const { values } of expressions) {
    const [, data] = values;
    if (typeof data === "object" && "chain" in data) return data.chain;
  }
  return undefined;
}

/** The comment of an entry is `dnat name: "cbr0" id: "CONTAINER"`. */
function ownerOf({ comment, expressions }: FoundRule): string {
  const info = expressions.find(({ name, values }) => name === "match" && values[0] === "comment")?.values[2];
  const text = comment ?? (info instanceof Uint8Array ? new TextDecoder().decode(info) : "");
  const [, network = "?", id = "?"] = /name: "([^"]*)" id: "([^"\0]*)/.exec(text) ?? [];
  return `container ${id} of network ${network}`;
}
