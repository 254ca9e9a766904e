import { readFile } from "node:fs/promises";

import { Decoder, isJsonObject, parseJson } from "../../src/base/decode.ts";
import type { JsonObject } from "../../src/base/decode.ts";
import type { TestNode } from "./node.ts";

/** What the CNI repository's plugin for tests is told to answer; it knows its settings by these names. */
interface NoopAnswer {
  /** A result as text, or PASSTHROUGH or INJECT-DNS for the previous one, as it is or with a name server. */
  readonly ReportResult?: string;
  readonly ReportError?: string;
}

/** One call that the plugin has written down. */
interface NoopCall {
  readonly command: string;
  readonly config: JsonObject;
}

/** The plugin `noop` on a node under a name of its own: an entry of a conflist, told what to answer, asked what came. */
export class NoopPlugin {
  readonly #node: TestNode;
  readonly #directory: string;

  constructor(node: TestNode, name: string) {
    this.#node = node;
    this.#directory = `/run/${name}`;
  }

  /** Its entry in a conflist. */
  get entry(): JsonObject {
    return { type: "noop", debugFile: `${this.#directory}/answer.json`, commandLog: `${this.#directory}/calls.json` };
  }

  /** Has every call from now on answered so. */
  async answer(answer: NoopAnswer): Promise<void> {
    await this.#node.write(`${this.#directory}/answer.json`, JSON.stringify(answer));
  }

  /** Every call so far, the first first. */
  async calls(): Promise<readonly NoopCall[]> {
    const text = await readFile(this.#node.path(`${this.#directory}/calls.json`), "utf8");
    return new Decoder(parseJson(text === "" ? "[]" : text)).list().map((call) => ({
      command: call.field("Command").string() ?? "",
      config: decodeStdin(call.field("CmdArgs").field("StdinData").string() ?? ""),
    }));
  }

  /** The commands of the calls. */
  async commands(): Promise<readonly string[]> {
    const calls = await this.calls();
    return calls.map(({ command }) => command);
  }
}

/** Prepares the files of a `noop`; the program has to be installed on the node as well. */
export async function createNoopPlugin(node: TestNode, name: string, answer: NoopAnswer): Promise<NoopPlugin> {
  const plugin = new NoopPlugin(node, name);
  await node.write(`run/${name}/calls.json`, "");
  await plugin.answer(answer);
  return plugin;
}

/** Go writes bytes in JSON as base64. */
function decodeStdin(base64: string): JsonObject {
  const config = parseJson(Buffer.from(base64, "base64").toString("utf8"));
  if (!isJsonObject(config)) throw new Error("Cannot read what the plugin was given: not an object");
  return config;
}
