/**
 * The expressions that rules are made of. An expression is a program's instruction: load these bytes of the packet into
 * that register, compare, look up, decide. `nft --debug=netlink` shows those of any rule.
 */
import { ByteReader, type ByteWriter } from "../base/bytes.ts";
import { Attributes, nestedType, putBytes, putNested, putString, putU8 } from "./attribute.ts";
import * as n from "./nftables-constants.ts";

/** What becomes of the packet: NF_ACCEPT, NF_DROP, NFT_RETURN, or NFT_JUMP and NFT_GOTO to a chain. */
export interface Verdict {
  readonly code: number;
  readonly chain: string | undefined;
}

type ExpressionValue = number | string | Uint8Array | Verdict;

/** An expression by the kernel's name; the value of attribute number i + 1 stands at index i. */
export interface Expression {
  readonly name: string;
  readonly values: readonly (ExpressionValue | undefined)[];
}

/**
 * The attributes of each expression (enum nft_…_attributes), first to last: u a number of 32 bits in network order, b one
 * of 8 bits, q one of 64 bits, s text, d data (a value or a verdict), x plain bytes.
 */
const layouts: Readonly<Record<string, string>> = {
  bitwise: "uuudduddu",
  cmp: "uud",
  counter: "qq",
  ct: "uubu",
  fib: "uuu",
  immediate: "ud",
  limit: "qquuu",
  lookup: "suuuu",
  masq: "uuu",
  match: "sux",
  meta: "uuu",
  nat: "uuuuuuu",
  payload: "uuuuuuuu",
  range: "uudd",
  redir: "uuu",
  reject: "ub",
  target: "sux",
};

/** The number of the nth 32-bit register, in the form in which the kernel tells it (nft_dump_register). */
export function register(index: number): number {
  return index % 4 === 0 ? 1 + index / 4 : n.NFT_REG32_00 + index;
}

/** Loads `length` bytes of a header of the packet (NFT_PAYLOAD_…). */
export function payload(base: number, offset: number, length: number, destination: number = register(0)): Expression {
  return { name: "payload", values: [destination, base, offset, length] };
}

/** Loads what the kernel knows of the packet (NFT_META_…). */
export function meta(key: number, destination: number = register(0)): Expression {
  return { name: "meta", values: [destination, key] };
}

/** Sets it, from a register. */
export function metaSet(key: number, source: number = register(0)): Expression {
  return { name: "meta", values: [undefined, key, source] };
}

/** Loads what connection tracking knows (NFT_CT_…). */
export function ct(key: number, destination: number = register(0)): Expression {
  return { name: "ct", values: [destination, key] };
}

/** Goes on with the rule only when the register compares so (NFT_CMP_…). */
export function cmp(op: number, value: Uint8Array, source: number = register(0)): Expression {
  return { name: "cmp", values: [source, op, value] };
}

/** register = (register & mask) ^ xor */
export function bitwise(mask: Uint8Array, xor: Uint8Array, source: number = register(0)): Expression {
  return { name: "bitwise", values: [source, source, mask.length, mask, xor] };
}

/** Puts a value into a register. */
export function immediate(value: Uint8Array, destination: number = register(0)): Expression {
  return { name: "immediate", values: [destination, value] };
}

/** Ends the rule with a verdict. */
export function verdict(code: number, chain?: string): Expression {
  return { name: "immediate", values: [n.NFT_REG_VERDICT, { code, chain }] };
}

/** Goes on only when the key is in the set, or with NFT_LOOKUP_F_INV when it is not. */
export function lookup(set: string, flags = 0, source: number = register(0)): Expression {
  return { name: "lookup", values: [set, source, undefined, undefined, flags] };
}

/** Goes on only when the key is in the map, with its data in a register; NFT_REG_VERDICT for a verdict map. */
export function lookupMap(map: string, destination: number, source: number = register(0)): Expression {
  return { name: "lookup", values: [map, source, destination] };
}

/** Gives the packet the address of the device it leaves by. Flags: NF_NAT_RANGE_… */
export function masquerade(flags = 0): Expression {
  return { name: "masq", values: [flags === 0 ? undefined : flags] };
}

/** Rewrites the destination (NFT_NAT_DNAT) or source to the address and the port in these registers. */
export function nat(
  type: number,
  family: number,
  from: { readonly address: number; readonly port: number },
): Expression {
  const flags = n.NF_NAT_RANGE_MAP_IPS | n.NF_NAT_RANGE_PROTO_SPECIFIED;
  return { name: "nat", values: [type, family, from.address, from.address, from.port, from.port, flags] };
}

/** Loads what the routing table says: fib(NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR) loads the destination's RTN_… type. */
export function fib(result: number, flags: number, destination: number = register(0)): Expression {
  return { name: "fib", values: [destination, result, flags] };
}

export function counter(): Expression {
  return { name: "counter", values: [0, 0] };
}

/** An expression in one line, as far as it matters: equal texts are equal expressions, whatever a counter has counted. */
export function expressionText({ name, values }: Expression): string {
  if (name === "counter") return name;
  // The kernel tells zeros that need not be said; a newer one more of them.
  const words = values.map((value, index) =>
    value === undefined || value === 0 ? "" : ` ${index + 1}=${valueText(value)}`,
  );
  return name + words.join("");
}

/** Writes the list of a rule. */
export function putExpressions(writer: ByteWriter, type: number, expressions: readonly Expression[]): void {
  putNested(writer, nestedType(type), () => {
    for (const { name, values } of expressions) {
      putNested(writer, nestedType(n.NFTA_LIST_ELEM), () => {
        putString(writer, n.NFTA_EXPR_NAME, name);
        putNested(writer, nestedType(n.NFTA_EXPR_DATA), () => {
          values.forEach((value, index) => {
            if (value !== undefined) putValue(writer, index + 1, layouts[name]?.[index], value);
          });
        });
      });
    }
  });
}

/** Decodes one of a rule's; of one that is not in the table above the name alone. */
export function decodeExpression(bytes: Uint8Array): Expression {
  const attributes = new Attributes(bytes);
  const name = attributes.findString(n.NFTA_EXPR_NAME) ?? "";
  const data = attributes.nested(n.NFTA_EXPR_DATA);
  return { name, values: Array.from(layouts[name] ?? "", (form, index) => findValue(data, index + 1, form)) };
}

/** Writes NFTA_DATA_VALUE or NFTA_DATA_VERDICT. */
export function putData(writer: ByteWriter, type: number, data: Uint8Array | Verdict): void {
  putNested(writer, nestedType(type), () => {
    if (data instanceof Uint8Array) {
      putBytes(writer, n.NFTA_DATA_VALUE, data);
      return;
    }
    putNested(writer, nestedType(n.NFTA_DATA_VERDICT), () => {
      putBe32(writer, n.NFTA_VERDICT_CODE, data.code);
      if (data.chain !== undefined) putString(writer, n.NFTA_VERDICT_CHAIN, data.chain);
    });
  });
}

/** The value or the verdict of a data attribute, undefined when it is absent. */
export function findData(attributes: Attributes, type: number): Uint8Array | Verdict | undefined {
  const data = attributes.nested(type);
  const value = data.findBytes(n.NFTA_DATA_VALUE);
  if (value !== undefined) return value;
  const found = data.nested(n.NFTA_DATA_VERDICT);
  const code = findBe32(found, n.NFTA_VERDICT_CODE);
  return code === undefined ? undefined : { code: code | 0, chain: found.findString(n.NFTA_VERDICT_CHAIN) };
}

/** Adds a number of 32 bits in network order, as all of nf_tables has them. */
export function putBe32(writer: ByteWriter, type: number, value: number): void {
  writer.u16(8).u16(type).be32(value);
}

/** Adds a number of 64 bits in network order. */
export function putBe64(writer: ByteWriter, type: number, value: number): void {
  writer
    .u16(12)
    .u16(type)
    .be32(Math.floor(value / 0x1_0000_0000))
    .be32(value);
}

export function findBe32(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.findBytes(type);
  return bytes === undefined ? undefined : new ByteReader(bytes).be32();
}

export function findBe64(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.findBytes(type);
  if (bytes === undefined) return undefined;
  const reader = new ByteReader(bytes);
  return reader.be32() * 0x1_0000_0000 + reader.be32();
}

function putValue(writer: ByteWriter, type: number, form: string | undefined, value: ExpressionValue): void {
  if (typeof value === "string") putString(writer, type, value);
  else if (typeof value === "number") {
    if (form === "b") putU8(writer, type, value);
    else if (form === "q") putBe64(writer, type, value);
    else putBe32(writer, type, value);
  } else if (form === "d" || !(value instanceof Uint8Array)) putData(writer, type, value);
  else putBytes(writer, type, value);
}

function findValue(data: Attributes, type: number, form: string): ExpressionValue | undefined {
  switch (form) {
    case "u":
      return findBe32(data, type);
    case "b":
      return data.findU8(type);
    case "q":
      return findBe64(data, type);
    case "s":
      return data.findString(type);
    case "d":
      return findData(data, type);
    default:
      return data.findBytes(type);
  }
}

function valueText(value: ExpressionValue): string {
  if (typeof value === "string" || typeof value === "number") return String(value);
  if (value instanceof Uint8Array) return `0x${value.toHex()}`;
  return value.chain === undefined ? `verdict(${value.code})` : `verdict(${value.code} ${value.chain})`;
}
