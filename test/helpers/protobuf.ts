/** Encodes protobuf messages as the API server does, for what is read of them. */

/** A field of a message: its number, and a number, a text, bytes or a message. */
export type ProtoField = readonly [number: number, value: number | string | Uint8Array | readonly ProtoField[]];

/** The bytes of a message. */
export function encodeMessage(fields: readonly ProtoField[]): Uint8Array {
  const parts = fields.map(([number, value]) => {
    if (typeof value === "number") return joinParts([varint(number * 8), varint(value)]);
    const content = contentOf(value);
    return joinParts([varint(number * 8 + 2), varint(content.length), content]);
  });
  return joinParts(parts);
}

/** An object in the API's envelope. */
export function encodeObject(kind: string, fields: readonly ProtoField[]): Uint8Array {
  const unknown = encodeMessage([
    [
      1,
      [
        [1, "v1"],
        [2, kind],
      ],
    ],
    [2, fields],
  ]);
  return joinParts([new TextEncoder().encode("k8s\0"), unknown]);
}

/** A frame of a watch: its length and the event. */
export function encodeEvent(type: string, object: Uint8Array): Uint8Array {
  const event = encodeMessage([
    [1, type],
    [2, [[1, object]]],
  ]);
  const frame = new Uint8Array(4 + event.length);
  new DataView(frame.buffer).setUint32(0, event.length);
  frame.set(event, 4);
  return frame;
}

/** What a test says of a node. */
export interface TestNodeObject {
  readonly name: string;
  readonly resourceVersion?: string;
  readonly podCidrs?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** The status and reason of NetworkUnavailable. */
  readonly condition?: readonly [status: string, reason: string];
}

/** The fields of a Node as the API server orders them, among others that nobody reads. */
export function nodeFields(node: TestNodeObject): readonly ProtoField[] {
  const [first] = node.podCidrs ?? [];
  return [
    [
      1,
      [
        [1, node.name],
        [5, "uid"],
        [6, node.resourceVersion ?? "1"],
        [7, 3],
        [11, mapEntry("kubernetes.io/os", "linux")],
        ...Object.entries(node.annotations ?? {}).map(([key, value]): ProtoField => [12, mapEntry(key, value)]),
        [17, [[1, "kubelet"]]],
      ],
    ],
    [
      2,
      [
        ...(first === undefined ? [] : [[1, first] satisfies ProtoField]),
        [3, "provider"],
        ...(node.podCidrs ?? []).map((cidr): ProtoField => [7, cidr]),
      ],
    ],
    [
      3,
      [
        [4, condition("Ready", "True", "KubeletReady")],
        ...(node.condition === undefined
          ? []
          : [[4, condition("NetworkUnavailable", ...node.condition)] satisfies ProtoField]),
        [8, [[1, "image"]]],
      ],
    ],
  ];
}

function condition(type: string, status: string, reason: string): readonly ProtoField[] {
  return [
    [1, type],
    [2, status],
    [3, [[1, 1_790_000_000]]],
    [5, reason],
    [6, "message"],
  ];
}

function mapEntry(key: string, value: string): readonly ProtoField[] {
  return [
    [1, key],
    [2, value],
  ];
}

function contentOf(value: string | Uint8Array | readonly ProtoField[]): Uint8Array {
  if (typeof value === "string") return new TextEncoder().encode(value);
  return value instanceof Uint8Array ? value : encodeMessage(value);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.from([...bytes, rest]);
}

/** One after the other. */
export function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
