/**
 * A program: takes a lease as a starting daemon does, at the moment its standard input ends, and writes the key, or
 * `none: ` and the reason. Its words are the lease directory, its public address and the configuration it goes by.
 */
import { errorText } from "../../src/base/error.ts";
import { parseNetworkConfig } from "../../src/lease/network-config.ts";
import { DirectoryLeaseSource } from "../../src/sources/directory/directory-source.ts";
import { requestOf } from "./lease-store.ts";

const [directory = "", publicIp = "", config = ""] = process.argv.slice(2);
process.stdout.write("ready\n");
await Bun.stdin.text();
process.stdout.write(`${await claim()}\n`);

async function claim(): Promise<string> {
  using source = new DirectoryLeaseSource(directory, (line) => process.stderr.write(`${line}\n`));
  try {
    const lease = await source.acquire(parseNetworkConfig(config), requestOf(publicIp));
    return lease.key;
  } catch (error) {
    return `none: ${errorText(error)}`;
  }
}
