/** Many addresses that are taken, as they would be after so many ADDs. */
import { mkdirSync, writeFileSync } from "node:fs";
import { formatIp, ipAdd, parseIp } from "../src/addr/ip.ts";
import { openStore } from "../src/plugins/host-local/store.ts";
import { type BenchHost, networkDirectory } from "./cni-host.ts";

/** The first address of the hosts' subnet that a pod can get. */
const first = parseIp("10.244.0.2");

/** Takes addresses the way ours does. */
export function takeAsOurs(host: BenchHost, count: number): void {
  for (let index = 0; index < count; index++) {
    const address = ipAdd(first, index);
    using store = openStore(networkDirectory(host), { containerId: `crowd-${index}`, interfaceName: "eth0" });
    if (!store.claim(address)) throw new Error(`Cannot take ${formatIp(address)}: it is taken`);
    store.setLastReserved(0, address);
  }
}

/** Leaves the files that upstream would. */
export function takeAsUpstream(host: BenchHost, count: number): void {
  const directory = networkDirectory(host);
  mkdirSync(directory, { recursive: true });
  for (let index = 0; index < count; index++) {
    writeFileSync(`${directory}/${formatIp(ipAdd(first, index))}`, `crowd-${index}\r\neth0`, { mode: 0o600 });
  }
  writeFileSync(`${directory}/last_reserved_ip.0`, formatIp(ipAdd(first, count - 1)));
}
