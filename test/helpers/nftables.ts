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

/** The elements in the tables of our plugins, as `FAMILY SET: ELEMENT`, sorted; what belongs to pods is nothing else. */
export async function podElements(netns: TestNetns): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const family of ["inet", "bridge"]) {
    const listing = ["nft", "list", "table", family, "tartan"];
    const { stdout } = await netns.run(listing, { exitCode: "any" });
    for (const [, name, elements] of stdout.matchAll(/(?:set|map) (\S+) \{[^{}]*elements = \{([^{}]*)\}/g)) {
      for (const element of (elements ?? "").split(",")) {
        lines.push(`${family} ${name}: ${element.trim().replaceAll(/\s*comment "[^"]*"/g, "")}`);
      }
    }
  }
  return lines.toSorted();
}
