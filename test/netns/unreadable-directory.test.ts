import { expect, test } from "bun:test";

import type { JsonObject } from "../../src/base/decode.ts";
import { callCni, type CniReply } from "../helpers/cni.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createCniNode, listNodeLeftovers, pluginDirectory } from "../helpers/cni-node.ts";
import { stockConflist } from "../helpers/conflists.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import type { TestNode } from "../helpers/node.ts";
import { describeWith } from "../helpers/require.ts";

/** A node's plugins with the directories that they use when the configuration names none. */
function call(node: TestNode, pod: TestNetns, command: string, config: JsonObject): Promise<CniReply> {
  return callCni(node, {
    plugin: `${pluginDirectory}/${typeof config["type"] === "string" ? config["type"] : ""}`,
    command,
    containerId: "c1",
    netns: pod.path,
    ifname: "eth0",
    cniPath: pluginDirectory,
    config: { cniVersion: "1.0.0", name: "cbr0", ...config },
  });
}

async function podTraces(node: TestNode): Promise<readonly string[]> {
  const lines = await listNodeLeftovers(node);
  return lines.filter((line) => /^link veth|cbr0\/10\.|cni\/flannel\//.test(line));
}

const ipam = { type: "host-local", ranges: [[{ subnet: "10.244.1.0/24" }]] };

await describeWith(
  ["root", "executable", "link:veth", "link:bridge"],
  "DEL whose directory cannot be read any more",
  () => {
    for (const [what, good, bad] of [
      ["bridge", { type: "bridge", ipam }, { type: "bridge", ipam: { ...ipam, dataDir: 5 } }],
      ["flannel", { type: "flannel" }, { type: "flannel", dataDir: 5 }],
    ] as const) {
      test(`${what}: frees what is in the usual directory, and fails where nothing is there to free`, async () => {
        await using node = await createCniNode(stockConflist);
        await using pod = await createNetns();
        expect((await call(node, pod, "ADD", good)).exitCode).toBe(0);
        expect(await podTraces(node)).not.toEqual([]);
        expect(outcome(await call(node, pod, "DEL", bad))).toBe("ok");
        expect(await podTraces(node)).toEqual([]);
        expect(outcome(await call(node, pod, "DEL", bad))).toContain(
          'dataDir": it must be a string, and is the number 5',
        );
        const elsewhere = { ...good, dataDir: "/var/lib/cni/other", ipam: { ...ipam, dataDir: "/var/lib/cni/other" } };
        expect((await call(node, pod, "ADD", elsewhere)).exitCode).toBe(0);
        expect(outcome(await call(node, pod, "DEL", bad))).toContain(
          'dataDir": it must be a string, and is the number 5',
        );
        expect((await podTraces(node)).filter((line) => line.startsWith("link"))).toEqual([]);
        expect(outcome(await call(node, pod, "DEL", elsewhere))).toBe("ok");
        expect((await listNodeLeftovers(node)).filter((line) => line.includes("c1"))).toEqual([]);
      });
    }
  },
);
