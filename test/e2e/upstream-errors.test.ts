import { expect, test } from "bun:test";
import { join } from "node:path";

import type { JsonObject } from "../../src/base/decode.ts";
import { callCni } from "../helpers/cni.ts";
import type { CniCall, CniReply } from "../helpers/cni.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import { createUpstreamDirectory } from "../helpers/upstream.ts";

/** A call with something wrong in it. */
interface WrongCall extends Pick<CniCall, "command" | "containerId" | "netns" | "ifname" | "cniPath"> {
  readonly claim: string;
  readonly config: JsonObject;
}

const config = { cniVersion: "0.3.1", name: "cbr0", type: "bridge", ipam: { type: "host-local" } };
const netns = { netns: "/run/netns/none-of-this-name" };
const rest = { ...netns, ifname: "eth0", cniPath: "/nowhere" };
const right = { command: "ADD", containerId: "wrong-call", ...rest, config };

const wrongCalls: readonly WrongCall[] = [
  { claim: "no container id", command: "ADD", ...rest, config },
  { claim: "nothing but the command", command: "ADD", config },
  { claim: "DEL with nothing but the command", command: "DEL", config },
  { claim: "DEL with nothing but the namespace", command: "DEL", ...netns, config },
  { claim: "an empty command", ...right, command: "" },
  { claim: "an unknown command", ...right, command: "MAKE" },
  { claim: "a container id with a slash", ...right, containerId: "a/b" },
  { claim: "a container id that begins with a dash", ...right, containerId: "-a" },
  { claim: "an interface name of 16 bytes", ...right, ifname: "abcdefghijklmnop" },
  { claim: "an interface name with a slash", ...right, ifname: "eth/0" },
  { claim: "an interface name with a blank", ...right, ifname: "eth 0" },
  { claim: "an interface name of two dots", ...right, ifname: ".." },
  { claim: "no network name", ...right, config: { cniVersion: "0.3.1", type: "bridge" } },
  { claim: "an empty network name", ...right, config: { ...config, name: "" } },
  { claim: "a network name with a blank", ...right, config: { ...config, name: "a b" } },
  { claim: "a version that nobody has", ...right, config: { ...config, cniVersion: "0.9.9" } },
  { claim: "a version that is none", ...right, config: { ...config, cniVersion: "newest" } },
];

const plugins = ["bridge", "host-local", "loopback"] as const;

await describeWith(["root", "executable", "peer:cni-plugins"], "the errors of upstream's plugins", () => {
  for (const wrong of wrongCalls) {
    test(`${wrong.claim}: the same code and the same words`, async () => {
      for (const [wanted, got] of await callBoth(wrong)) {
        expect(answerOf(got)).toEqual(answerOf(wanted));
      }
    });
  }

  test("a configuration that is not JSON has the same code and begins with the same words", async () => {
    for (const [wanted, got] of await callBoth({ ...right, config: '{"cniVersion": ' })) {
      expect(got.exitCode).toBe(wanted.exitCode);
      expect(got.error?.code).toBe(wanted.error?.code);
      expect(got.error?.msg).toStartWith("error unmarshall network config:");
    }
  });

  test("VERSION answers with the same versions", async () => {
    for (const [wanted, got] of await callBoth({ command: "VERSION", config: "{}" })) {
      expect(answerOf(got)).toEqual(answerOf(wanted));
    }
  });
});

/** What upstream's and our plugins of each name answer to one call. */
async function callBoth(call: Omit<CniCall, "plugin">): Promise<readonly (readonly [CniReply, CniReply])[]> {
  await using theirs = await createUpstreamDirectory();
  await using ours = await createExecutableDirectory();
  await using host = await createNetns();
  const pairs: (readonly [CniReply, CniReply])[] = [];
  for (const plugin of plugins) {
    pairs.push([
      await callPlugin(host, join(theirs.path, plugin), call),
      await callPlugin(host, join(ours.path, plugin), call),
    ]);
  }
  return pairs;
}

function callPlugin(host: TestNetns, plugin: string, call: Omit<CniCall, "plugin">): Promise<CniReply> {
  return callCni(host, { plugin, ...call });
}

function answerOf(reply: CniReply): Pick<CniReply, "exitCode" | "result" | "error"> {
  return { exitCode: reply.exitCode, result: reply.result, error: reply.error };
}
