import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { createCniNode, lastingAfter, listNodeLeftovers } from "../helpers/cni-node.ts";
import { ownConflist, stockConflist } from "../helpers/conflists.ts";
import { containerAddress, containerPing } from "../helpers/container-network.ts";
import { containerdNames, containerdRequirements, startContainerd } from "../helpers/containerd.ts";
import type { ContainerdName } from "../helpers/containerd.ts";
import { eventually } from "../helpers/eventually.ts";
import type { TestNode } from "../helpers/node.ts";
import { describeWith } from "../helpers/require.ts";

/** The version of CNI that each containerd speaks with each list: older ones know nothing of `cniVersions`. */
const rows = [
  { list: "the stock conflist", conflist: stockConflist, spoken: { distribution: ["0.3.1"], "2.2": ["0.3.1"] } },
  { list: "our conflist", conflist: ownConflist, spoken: { distribution: ["1.0.0", "1.1.0"], "2.2": ["1.1.0"] } },
] as const;

for (const name of containerdNames) {
  const requirements = ["executable", "link:veth", "link:bridge", ...containerdRequirements(name)] as const;
  await describeWith(requirements, `containerd (${name})`, () => {
    test.each(rows)("starts, stops and restarts containers with $list, and leaves nothing", async (row) => {
      await using node = await createCniNode(row.conflist);
      await using containerd = await startContainerd(node, name);

      await using first = await containerd.run("first");
      await using second = await containerd.run("second");
      expect(await containerAddress(first)).toBe("10.244.1.2/24");
      expect(await containerAddress(second)).toBe("10.244.1.3/24");
      expect(await containerPing(first, "10.244.1.3")).toContain("3 packets received, 0% packet loss");
      expect(await containerPing(second, "10.244.1.2")).toContain("3 packets received, 0% packet loss");
      expect(await containerPing(second, "10.244.1.1")).toContain("3 packets received, 0% packet loss");
      expect(await spokenVersion(node, "first")).toBeOneOf([...spokenBy(row, name)]);

      await second.remove();
      expect(second.messages).toBe("");
      expect(await containerPing(first, "10.244.1.1")).toContain("3 packets received, 0% packet loss");

      // The runtime uses the name again, so that the plugins see the same container a second time.
      await using restarted = await containerd.run("second");
      expect(await containerAddress(restarted)).toBe("10.244.1.4/24");
      expect(await containerPing(first, "10.244.1.4")).toContain("3 packets received, 0% packet loss");
      expect(await containerPing(restarted, "10.244.1.2")).toContain("3 packets received, 0% packet loss");

      await first.remove();
      await restarted.remove();
      expect(first.messages).toBe("");
      expect(restarted.messages).toBe("");
      const wanted = lastingAfter("10.244.1.4");
      expect(await eventually(() => listNodeLeftovers(node), wanted)).toEqual(wanted);
    });
  });
}

function spokenBy(row: (typeof rows)[number], name: ContainerdName): readonly string[] {
  return row.spoken[name];
}

/** The version of the result as the runtime's library has kept it. */
async function spokenVersion(node: TestNode, container: string): Promise<string | undefined> {
  const text = await readFile(node.path(`var/lib/cni/results/cbr0-default-${container}-eth0`), "utf8");
  return new Decoder(parseJson(text)).field("result").field("cniVersion").string();
}
