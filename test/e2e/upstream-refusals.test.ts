import { expect, test } from "bun:test";
import { join } from "node:path";

import type { JsonObject } from "../../src/base/decode.ts";
import { callCni } from "../helpers/cni.ts";
import type { CniReply } from "../helpers/cni.ts";
import { type CniHost, createCniHost, subnetEnv } from "../helpers/cni-host.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";
import { createUpstreamDirectory } from "../helpers/upstream.ts";

const needed = ["root", "executable", "peer:cni-plugins", "peer:flannel-cni"] as const;

/** Configurations of flannel's that its plugin, v0.9.1, refuses in the words of v1.9.1. */
const flannels: readonly JsonObject[] = [
  { delegate: { name: "x" } },
  { delegate: { name: null } },
  { delegate: { ipam: {} } },
  { delegate: { type: 5 } },
  { delegate: { type: null } },
  { delegate: { vlan: 5000 } },
  { delegate: { hairpinMode: true, promiscMode: true } },
  { name: "" },
  { name: "a b" },
];

/** Which lines of subnet.env are missing, by their place. */
const missing: readonly (readonly number[])[] = [[0], [1], [2], [3], [0, 2], [0, 1, 2, 3]];

const right = { hostPort: 8080, containerPort: 80, protocol: "tcp" };

/** Configurations that portmap refuses. */
const portmaps: readonly JsonObject[] = [
  mapped({ hostPort: 0 }),
  mapped({ hostPort: -1 }),
  mapped({ containerPort: 0 }),
  mapped({ containerPort: -5 }),
  mapped({ hostPort: null }),
  { markMasqBit: 32 },
  { markMasqBit: -1 },
  { externalSetMarkChain: "X", markMasqBit: 3 },
  { backend: "x" },
  { prevResult: null },
  { name: "" },
];

await describeWith(needed, "what upstream's flannel and portmap refuse", () => {
  for (const members of flannels) {
    test(`flannel ADD with ${JSON.stringify(members)}: the same words`, async () => {
      const [wanted, got] = await callBoth("ADD", (host) => host.flannelConfig({ cniVersion: "0.4.0", ...members }));
      expect(wanted.error?.msg).not.toBeUndefined();
      expect(got.error?.msg).toBe(wanted.error?.msg ?? "");
      expect(got.error?.code).toBe(7);
    });
  }

  for (const places of missing) {
    test(`flannel ADD with subnet.env without its lines ${places.join(", ")}: the same words, and where to look`, async () => {
      const lines = subnetEnv.split("\n").filter((_line, at) => !places.includes(at));
      const [wanted, got] = await callBoth("ADD", flannelConfig, lines.join("\n"));
      expect(wanted.error?.msg).toContain("is missing FLANNEL_");
      expect(got.error?.msg).toBe(framed(wanted.error?.msg));
    });
  }

  for (const line of ["FLANNEL_SUBNET=x", "FLANNEL_NETWORK=x", "FLANNEL_NETWORK=10.0.0.0/33"]) {
    test(`flannel ADD with subnet.env that says ${line}: the same words, and where to look`, async () => {
      const [wanted, got] = await callBoth("ADD", flannelConfig, `${subnetEnv}${line}\n`);
      expect(wanted.error?.msg).toStartWith("invalid CIDR address");
      expect(got.error?.msg).toBe(framed(wanted.error?.msg));
    });
  }

  for (const routes of [5, [{ dst: "x" }]]) {
    test(`flannel ADD with routes ${JSON.stringify(routes)}: the same words up to what is wrong`, async () => {
      const frame = "failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: ";
      const config = { cniVersion: "0.4.0", ipam: { routes } };
      for (const { error } of await callBoth("ADD", (host) => host.flannelConfig(config))) {
        expect(error?.msg).toStartWith(frame);
      }
    });
  }

  for (const members of portmaps) {
    test(`portmap with ${JSON.stringify(members)}: ADD and CHECK have the same words`, async () => {
      for (const command of ["ADD", "CHECK"]) {
        const [wanted, got] = await callBoth(command, () => portmapConfig(members));
        const words = wanted.error?.msg ?? "none";
        // On CHECK upstream leaves out what it says first on ADD.
        const frame = "failed to parse config: ";
        expect([words, frame + words]).toContain(got.error?.msg ?? "");
        if (command === "ADD") expect(got.error?.msg).toBe(words);
        expect(got.exitCode).toBe(wanted.exitCode);
      }
    });
  }

  test("portmap DEL: what upstream refuses, so that nobody can delete the pod, is deleted here", async () => {
    for (const members of portmaps.slice(0, -2)) {
      const [wanted, got] = await callBoth("DEL", () => portmapConfig(members));
      expect(wanted.exitCode).toBe(1);
      expect(got).toMatchObject({ exitCode: 0, stdout: "" });
    }
  });
});

/** How v1.9.1 puts what is wrong with subnet.env. */
function framed(words = "none"): string {
  return `failed to load flannel 'subnet.env' file: ${words}. Check the flannel pod log for this node.`;
}

function flannelConfig(host: CniHost): JsonObject {
  return host.flannelConfig({ cniVersion: "0.4.0" });
}

function portmapConfig(members: JsonObject): JsonObject {
  const prevResult = { cniVersion: "0.4.0", ips: [{ version: "4", address: "10.244.1.3/24" }] };
  return { cniVersion: "0.4.0", name: "cbr0", type: "portmap", backend: "nftables", prevResult, ...members };
}

function mapped(members: JsonObject): JsonObject {
  return { runtimeConfig: { portMappings: [{ ...right, ...members }] } };
}

/** What upstream's plugin and ours answer to one call, both on one host, which neither changes. */
async function callBoth(
  command: string,
  configOf: (host: CniHost) => JsonObject,
  env: string = subnetEnv,
): Promise<readonly [CniReply, CniReply]> {
  await using theirs = await createUpstreamDirectory();
  await using ours = await createExecutableDirectory();
  await using host = await createCniHost(ours.path);
  await host.directory.write("subnet.env", env);
  const { netns } = await host.addPod();
  const config = configOf(host);
  const plugin = typeof config["type"] === "string" ? config["type"] : "";
  const call = { command, containerId: "c1", netns: netns.path, ifname: "eth0", config };
  return [
    await callCni(host.netns, { ...call, plugin: join(theirs.path, plugin), cniPath: theirs.path }),
    await callCni(host.netns, { ...call, plugin: join(ours.path, plugin), cniPath: ours.path }),
  ];
}
