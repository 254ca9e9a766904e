/** portmap where somebody else, or an earlier version, has left the table otherwise than it should be, and no daemon runs. */
import { expect, test } from "bun:test";

import { outcome } from "../helpers/cni-network.ts";
import { nft } from "../helpers/kept-host.ts";
import { askMirror, startMirror } from "../helpers/mirror.ts";
import { ruleset } from "../helpers/nftables.ts";
import type { TestNetns } from "../helpers/netns.ts";
import {
  addDualPod,
  createPortHost,
  hostAddress,
  mapping,
  outsideAddress,
  portmapConfig,
} from "../helpers/port-host.ts";
import { describeWith } from "../helpers/require.ts";

interface Damage {
  readonly name: string;
  readonly damage: (netns: TestNetns) => Promise<void>;
  readonly found: string;
}

function commands(...lines: readonly string[]): Damage["damage"] {
  return (netns) => nft(netns, lines);
}

/** Loads the table with the priority that destinations are rewritten at by an earlier build. */
async function makeOld(netns: TestNetns): Promise<void> {
  const text = await ruleset(netns);
  const old = text.replaceAll("priority dstnat + 1;", "priority dstnat;");
  expect(old).not.toBe(text);
  await nft(netns, ["flush ruleset", old]);
}

const hookText = "missing or with another hook";

const damages: readonly Damage[] = [
  { name: "an earlier priority", damage: makeOld, found: `chain prerouting of table inet tartan ${hookText}` },
  {
    name: "no rules",
    damage: commands("flush table inet tartan"),
    found: "chain hostports4 of table inet tartan with other rules",
  },
  {
    name: "a chain without rules",
    damage: commands("flush chain inet tartan hostports4"),
    found: "chain hostports4 of table inet tartan with other rules",
  },
  {
    name: "a chain less",
    damage: commands("flush chain inet tartan prerouting", "delete chain inet tartan prerouting"),
    found: `chain prerouting of table inet tartan ${hookText}`,
  },
  {
    name: "a dormant table",
    damage: commands("add table inet tartan { flags dormant; }"),
    found: "table inet tartan dormant or owned",
  },
  {
    name: "a dormant table with an earlier priority",
    damage: async (netns) => {
      await makeOld(netns);
      await nft(netns, ["add table inet tartan { flags dormant; }"]);
    },
    found: "table inet tartan dormant or owned",
  },
  {
    name: "a policy that drops",
    damage: commands("chain inet tartan guard { policy drop; }"),
    found: `chain guard of table inet tartan ${hookText}`,
  },
];

await describeWith(["root", "executable", "link:veth", "tool:nft"], "portmap", () => {
  test.each(damages)(
    "CHECK tells of $name, and the next pod's ADD puts it right for all",
    async ({ name, damage, found }) => {
      await using place = await createPortHost();
      const { host, outside } = place;
      const one = await addDualPod(host);
      const two = await addDualPod(host);
      // With another mark there is something to be made in any case.
      const mark = name === "an earlier priority" ? { markMasqBit: 14 } : {};
      const first = portmapConfig(one.result, [mapping(8080, 80)]);
      const second = portmapConfig(two.result, [mapping(8081, 80)], mark);
      await using mirrors = new AsyncDisposableStack();
      for (const [index, { pod }] of [one, two].entries()) {
        mirrors.use(await startMirror(pod.netns, `web${index}`, 80));
      }
      await host.add(first, { pod: one.pod });
      expect(outcome(await host.call("CHECK", first, { pod: one.pod }))).toStartWith("ok");
      await damage(host.netns);
      expect(outcome(await host.call("CHECK", first, { pod: one.pod }))).toBe(`999 ${found}`);
      await host.add(second, { pod: two.pod });
      for (const [index, { pod }] of [one, two].entries()) {
        expect(outcome(await host.call("CHECK", index === 0 ? first : second, { pod }))).toStartWith("ok");
        expect(await askMirror(outside, hostAddress[4], 8080 + index)).toBe(`web${index} ${outsideAddress[4]}`);
        expect(await askMirror(outside, hostAddress[6], 8080 + index)).toBe(`web${index} ${outsideAddress[6]}`);
      }
    },
  );

  test("CHECK tells that the pod's part of the index is gone", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const { pod, result } = await addDualPod(host);
    const config = portmapConfig(result, [mapping(8080, 80), mapping(8080, 53, "udp", hostAddress[4])]);
    await host.add(config, { pod });
    expect(outcome(await host.call("CHECK", config, { pod }))).toStartWith("ok");
    await nft(host.netns, ["flush map inet tartan hostport_pods"]);
    const found = outcome(await host.call("CHECK", config, { pod }));
    expect(found).toBe("999 host port 8080/tcp is missing in map hostport_pods of table tartan");
  });
});
