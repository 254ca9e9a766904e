import { DecodeError, Decoder, parseJson } from "../../base/decode.ts";
import { ensureDirectory, findText, replaceFile } from "../../sys/file.ts";
import { sha256 } from "../../sys/hash.ts";
import { syncFile } from "../../sys/sync.ts";
import { type AnnotationName, isAnnotationName } from "./annotations.ts";
import type { NodeRecord } from "./node-record.ts";

/** What is kept for a start at which the API server does not answer. */
export interface KeptNodes {
  /** This node's own object. */
  readonly own: NodeRecord;
  /** Every node of flannel's with its text. */
  readonly texts: readonly (readonly [name: string, text: string])[];
}

const format = 2;
/** Who may read it: it holds nothing secret, but nobody else needs it. */
const fileMode = 0o600;

/**
 * The small file in which the nodes of the last successful listing are kept: a line about itself, then a line for each
 * node. It belongs to one cluster, told by who signs its certificates, and one annotation prefix, and says nothing about another.
 */
export class NodeCache {
  readonly #directory: string;
  readonly #path: string;
  readonly #prefix: string;
  /** What was written last, so that the same is not written again. */
  #written: string | undefined;

  constructor(directory: string, prefix: string) {
    this.#directory = directory;
    this.#path = `${directory}/kube-nodes`;
    this.#prefix = prefix;
  }

  get path(): string {
    return this.#path;
  }

  /** What was kept for this cluster; undefined when there is nothing that can be used. Throws a SyscallError. */
  find(cluster: string): KeptNodes | undefined {
    const text = findText(this.#path);
    if (text === undefined) return undefined;
    try {
      const [first = "", ...lines] = text.trimEnd().split("\n");
      const header = new Decoder(parseJson(first));
      if (header.field("format").integer() !== format || header.field("nodes").integer() !== lines.length)
        return undefined;
      if (header.field("prefix").string() !== this.#prefix) return undefined;
      const kept = header.field("authorities").list();
      const known = authorityDigests(cluster);
      if (!kept.some((digest) => known.includes(digest.string() ?? ""))) return undefined;
      return { own: parseOwn(header.field("own")), texts: lines.map(parseLine) };
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  /** Keeps the nodes. Throws a SyscallError. */
  keep(cluster: string, { own, texts }: KeptNodes): void {
    const { name, podCidrs } = own;
    const header = {
      format,
      prefix: this.#prefix,
      authorities: authorityDigests(cluster),
      own: { name, podCidrs, annotations: Object.fromEntries(own.annotations) },
      nodes: texts.length,
    };
    const text = `${[JSON.stringify(header), ...texts.map((line) => JSON.stringify(line))].join("\n")}\n`;
    const digest = sha256(text).toHex();
    if (digest === this.#written) return;
    ensureDirectory(this.#directory, 0o755);
    replaceFile(this.#path, text, fileMode);
    syncFile(this.#path);
    this.#written = digest;
  }
}

function parseOwn(json: Decoder): NodeRecord {
  const name = json.field("name").string();
  if (name === undefined) return json.field("name").fail("the node's name");
  const annotations = new Map<AnnotationName, string>();
  const kept = json.field("annotations");
  for (const key of Object.keys(kept.object() ?? {})) {
    if (isAnnotationName(key)) annotations.set(key, kept.field(key).string() ?? "");
  }
  const podCidrs = json.field("podCidrs").list();
  return {
    name,
    resourceVersion: "",
    podCidrs: podCidrs.map((cidr) => cidr.string() ?? ""),
    annotations,
    initialEnd: false,
  };
}

function parseLine(line: string): readonly [name: string, text: string] {
  const [name, text] = new Decoder(parseJson(line)).list();
  return [name?.string() ?? "", text?.string() ?? ""];
}

/**
 * A node that moved to another cluster finds the same address there, but none of the same certificates. A cluster whose
 * authority is being replaced has the old one and the new one for a while.
 */
function authorityDigests(cluster: string): readonly string[] {
  const certificates = cluster.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [cluster];
  return certificates.map((text) => sha256(text).toHex());
}
