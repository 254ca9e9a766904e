import { parseIp } from "../../src/addr/ip.ts";
import type { TestNetns } from "./netns.ts";

/** The ruleset of a namespace as nft shows it, with names of protocols but plain numbers of ports. */
export async function ruleset(netns: TestNetns): Promise<string> {
  const { stdout } = await netns.run(["nft", "list", "ruleset"]);
  return stdout;
}

/** The bytes of an address as they stand in packets. */
export function ipBytes(text: string): Uint8Array {
  return parseIp(text).bytes;
}
