import { bytesToHex } from "../../helpers/bytes.ts";

/** Attributes that hold attributes, by the path of their types, with the length of the structure that comes before. */
export type Nesting = Readonly<Record<string, number>>;

/** IFLA_LINKINFO with IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA. */
export const linkNesting: Nesting = { "18": 0, "18.2": 0, "18.5": 0 };
/** As above, and VETH_INFO_PEER, which begins with a struct ifinfomsg. */
export const vethNesting: Nesting = { ...linkNesting, "18.2.1": 16 };
/** RTA_METRICS */
export const routeNesting: Nesting = { "8": 0 };

/** Lengths of the families' own headers by RTM_NEW…, the first of each four message types. */
const headerLengths: Readonly<Record<number, number>> = { 16: 16, 20: 8, 24: 12, 28: 12 };

/**
 * A message as lines, one for each of its parts: type, flags, the family's header, and every attribute with the path of
 * types that leads to it. The order of attributes, which the kernel does not care for, does not show.
 */
function describeMessage(message: Uint8Array, nesting: Nesting = {}): readonly string[] {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const type = view.getUint16(4, true);
  const headerLength = headerLengths[type & ~3];
  if (headerLength === undefined) throw new Error(`Cannot describe message: its type ${type} is unknown`);
  if (view.getUint32(0, true) !== message.length) throw new Error("Cannot describe message: its length is wrong");
  const body = 16 + headerLength;
  return [
    `type ${type} flags 0x${view.getUint16(6, true).toString(16)}`,
    `header ${bytesToHex(message.subarray(16, body))}`,
    ...describeAttributes(message.subarray(body), nesting, "").toSorted(),
  ];
}

/** The lines that only one of the messages has. */
export function compareMessages(
  ours: Uint8Array,
  theirs: Uint8Array,
  nesting: Nesting = {},
): { readonly ours: readonly string[]; readonly theirs: readonly string[] } {
  const own = describeMessage(ours, nesting);
  const other = describeMessage(theirs, nesting);
  return { ours: withoutOf(own, other), theirs: withoutOf(other, own) };
}

function withoutOf(lines: readonly string[], others: readonly string[]): readonly string[] {
  const rest = [...others];
  return lines.filter((line) => {
    const place = rest.indexOf(line);
    if (place >= 0) rest.splice(place, 1);
    return place < 0;
  });
}

function describeAttributes(bytes: Uint8Array, nesting: Nesting, parent: string): readonly string[] {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset);
    const length = view.getUint16(0, true);
    const path = `${parent}${view.getUint16(2, true)}`;
    if (length < 4 || length > view.byteLength) throw new Error(`Cannot describe attribute ${path}: length ${length}`);
    const payload = bytes.subarray(offset + 4, offset + length);
    const inner = nesting[path];
    if (inner === undefined) {
      lines.push(`${path} ${bytesToHex(payload)}`.trimEnd());
    } else {
      lines.push(inner === 0 ? `${path} {}` : `${path} { ${bytesToHex(payload.subarray(0, inner))} }`);
      lines.push(...describeAttributes(payload.subarray(inner), nesting, `${path}.`));
    }
    offset += (length + 3) & ~3;
  }
  return lines;
}
