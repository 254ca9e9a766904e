import { type Decoder, DecodeError } from "../base/decode.ts";
import { CniError, cniCode } from "./error.ts";
import type { ListedAttachment, ValidAttachments } from "./plugin.ts";

/** The key of GC's list in the specification 1.1.0, and the one that its first text had by mistake, which libcni writes as well. */
export const validAttachmentKeys: readonly string[] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/**
 * The attachments that GC is told to keep. Throws a CniError, code 7, when the list is missing or wrong: `cnitool gc` gives
 * none, and without one nothing can be told to be stale. A `null` is how libcni writes a list of no attachments.
 */
export function decodeValidAttachments(config: Decoder): ValidAttachments {
  const key = validAttachmentKeys.find((name) => Object.hasOwn(config.object() ?? {}, name));
  if (key === undefined) {
    const message = `missing "${validAttachmentKeys[0]}": without the list of what is in use nothing can be freed`;
    throw new CniError(cniCode.invalidConfig, message);
  }
  try {
    return new Attachments(config.field(key));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CniError(cniCode.invalidConfig, "failed to parse the valid attachments", undefined, { cause: error });
  }
}

/** No name holds a slash, so that it can stand between two. */
class Attachments implements ValidAttachments {
  readonly list: readonly ListedAttachment[];
  readonly #containers: ReadonlySet<string>;
  readonly #attachments: ReadonlySet<string>;

  constructor(json: Decoder) {
    this.list = json.list().map(decodeAttachment);
    this.#containers = new Set(this.list.map(({ containerId }) => containerId));
    this.#attachments = new Set(this.list.map(({ containerId, interfaceName }) => `${containerId}/${interfaceName}`));
  }

  has(containerId: string, interfaceName: string): boolean {
    return this.#attachments.has(`${containerId}/${interfaceName}`);
  }

  hasContainer(containerId: string): boolean {
    return this.#containers.has(containerId);
  }
}

function decodeAttachment(item: Decoder): ListedAttachment {
  const containerId = item.field("containerID").string() ?? "";
  const interfaceName = item.field("ifname").string() ?? "";
  if (containerId === "" || interfaceName === "") item.fail(`an attachment with "containerID" and "ifname"`);
  return { containerId, interfaceName };
}
