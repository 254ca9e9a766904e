import { Decoder, parseJson } from "../../src/base/decode.ts";
import type { TestNetns } from "./netns.ts";

/** The queueing disciplines of a namespace that somebody has set, each as `KIND dev DEVICE`. Like: tc qdisc show */
export async function listQdiscs(netns: TestNetns): Promise<readonly string[]> {
  const { stdout } = await netns.run(["tc", "-j", "qdisc", "show"]);
  return new Decoder(parseJson(stdout))
    .list()
    .map((item) => `${item.field("kind").string() ?? ""} dev ${item.field("dev").string() ?? ""}`)
    .filter((line) => !line.startsWith("noqueue "));
}
