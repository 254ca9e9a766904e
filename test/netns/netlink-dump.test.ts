import { expect, test } from "bun:test";
import { join } from "node:path";

import { NLM_F_DUMP_INTR, RTM_GETLINK } from "../../src/netlink/constants.ts";
import { decodeLink } from "../../src/netlink/link.ts";
import type { Request } from "../../src/netlink/message.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

/** So many devices need several answers, between which the table can change. */
const stableNames = Array.from({ length: 60 }, (_, index) => `stable${index}`);

/** Adds and deletes devices for ever, each with a request of its own. */
const churn = `
  const { NetlinkSocket } = await import(${JSON.stringify(source("netlink/socket.ts"))});
  const { addLink } = await import(${JSON.stringify(source("netlink/link-spec.ts"))});
  const { deleteLink } = await import(${JSON.stringify(source("netlink/link.ts"))});
  const spec = { kind: "bridge", mac: "02:00:00:00:00:01", mtu: 0, up: false, vlanFiltering: false };
  using socket = new NetlinkSocket();
  for (let round = 0; ; round++) {
    for (let index = 0; index < 10; index++) socket.request(addLink({ ...spec, name: "churn" + index }));
    if (round === 0) console.log("churning");
    for (let index = 0; index < 10; index++) socket.request(deleteLink({ name: "churn" + index }));
  }`;

function source(path: string): string {
  return join(import.meta.dir, "../../src", path);
}

async function createBusyNode(): Promise<TestNetns> {
  const netns = await createNetns();
  const commands = stableNames.map((name) => `link add ${name} type bridge\n`);
  await netns.run(["ip", "-batch", "-"], { stdin: commands.join("") });
  return netns;
}

/** The request of listLinks(), which counts how often it is sent. */
class CountedRequest implements Request {
  readonly type = RTM_GETLINK;
  readonly flags = 0;
  readonly text = "list links";
  readonly #body = new Uint8Array(16);
  #reads = 0;

  get body(): Uint8Array {
    this.#reads++;
    return this.#body;
  }

  /** Reads of the body since the last call. */
  takeReads(): number {
    const reads = this.#reads;
    this.#reads = 0;
    return reads;
  }
}

await describeWith(["root", "tool:ip", "link:bridge"], "netlink/socket dump()", () => {
  test("dump() is repeated until the table has not changed meanwhile, and returns it whole", async () => {
    await using netns = await createBusyNode();
    using socket = openNetlink(netns);
    const request = new CountedRequest();
    socket.dump(request);
    const readsOnce = request.takeReads();
    await using child = netns.start([process.execPath, "-e", churn]);
    await child.waitUntil("it changes the table", () => child.stdout.includes("churning"));
    let repeated = 0;
    const deadline = Date.now() + 10_000;
    while (repeated < 5 && Date.now() < deadline) {
      const replies = socket.dump(request);
      if (request.takeReads() > readsOnce) repeated++;
      expect(replies.filter(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0)).toEqual([]);
      const names = replies.map(decodeLink).map(({ name }) => name);
      expect(names.filter((name) => name.startsWith("stable"))).toEqual(stableNames);
      expect(new Set(names).size).toBe(names.length);
      await Bun.sleep(0);
    }
    expect(repeated).toBe(5);
    expect(child.exitCode).toBeUndefined();
  }, 20_000);
});
