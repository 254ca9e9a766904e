import { expect, test } from "bun:test";

import { type CniHost, createCniHost, type TestPod } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";
import { createUpstreamDirectory } from "../helpers/upstream.ts";

const loopback = { cniVersion: "1.0.0", name: "lo", type: "loopback" };
const known = "IgnoreUnknown=1";

/** What stands in the way of a call, which is made last. */
type Scenario = (host: CniHost, pod: TestPod) => Promise<string>;

/** Brought about on a host of upstream's plugins and on one of ours: the same words, which operators search for. */
const scenarios: Readonly<Record<string, Scenario>> = {
  "the pod has an eth0": async (host, pod) => {
    await pod.netns.ip("link", "add", "eth0", "type", "bridge");
    return outcome(await host.call("ADD", host.bridgeConfig(), { pod }));
  },
  "host-local is asked twice": async (host, pod) => {
    await host.add(host.hostLocalConfig(), { pod });
    return outcome(await host.call("ADD", host.hostLocalConfig(), { pod }));
  },
  "all addresses are taken": async (host, pod) => {
    const ipam = host.ipamConfig({ ranges: [[{ subnet: "10.244.1.0/30" }]] });
    await host.add(host.bridgeConfig({ ipam }), { pod: await host.addPod() });
    return outcome(await host.call("ADD", host.bridgeConfig({ ipam }), { pod }));
  },
  "the address asked for is taken": async (host, pod) => {
    await host.add(host.bridgeConfig(), { pod: await host.addPod() });
    return outcome(await host.call("ADD", host.bridgeConfig(), { pod, args: `${known};IP=10.244.1.2` }));
  },
  "the address asked for is the gateway's": async (host, pod) =>
    outcome(await host.call("ADD", host.bridgeConfig(), { pod, args: `${known};IP=10.244.1.1` })),
  "the address asked for lies elsewhere": async (host, pod) =>
    outcome(await host.call("ADD", host.bridgeConfig(), { pod, args: `${known};IP=10.9.9.9` })),
  "the bridge's name is another device's": async (host, pod) => {
    await host.netns.ip("link", "add", "cni0", "type", "veth");
    return outcome(await host.call("ADD", host.bridgeConfig(), { pod }));
  },
  "the bridge has another address": async (host, pod) => {
    await host.netns.ip("link", "add", "cni0", "type", "bridge");
    await host.netns.ip("address", "add", "10.9.0.1/24", "dev", "cni0");
    return outcome(await host.call("ADD", host.bridgeConfig(), { pod }));
  },
  "the IPAM plugin is nowhere": async (host, pod) =>
    outcome(await host.call("ADD", host.bridgeConfig({ ipam: { type: "whereabouts" } }), { pod })),
  "the pod's namespace is a plain file": async (host, pod) =>
    outcome(await host.call("ADD", host.bridgeConfig(), { pod, netns: host.subnetFile })),
  "the pod's namespace is gone": async (host, pod) =>
    outcome(await host.call("ADD", host.bridgeConfig(), { pod, netns: "/run/netns/gone" })),
  "CHECK of a namespace that is gone": async (host, pod) =>
    outcome(
      await host.call("CHECK", { ...host.bridgeConfig(), cniVersion: "1.0.0" }, { pod, netns: "/run/netns/gone" }),
    ),
  "a result without addresses in version 0.2.0": async (host, pod) =>
    outcome(
      await host.call("ADD", host.bridgeConfig({ cniVersion: "0.2.0", ipam: {}, isDefaultGateway: false }), { pod }),
    ),
  "loopback and a namespace that is gone": async (host, pod) =>
    outcome(await host.call("ADD", loopback, { pod, netns: "/run/netns/gone" })),
  "loopback and a plain file": async (host, pod) =>
    outcome(await host.call("ADD", loopback, { pod, netns: host.subnetFile })),
  "loopback and another address": async (host, pod) => {
    await pod.netns.ip("address", "add", "10.0.0.1/32", "dev", "lo");
    return outcome(await host.call("ADD", loopback, { pod }));
  },
  "loopback is down": async (host, pod) => outcome(await host.call("CHECK", loopback, { pod })),
};

await describeWith(["root", "executable", "link:veth", "link:bridge", "peer:cni-plugins"], "what upstream says", () => {
  for (const [claim, scenario] of Object.entries(scenarios)) {
    test(`${claim}: the same code and the same words`, async () => {
      await using theirs = await createUpstreamDirectory();
      await using ours = await createExecutableDirectory();
      const wanted = await failureOf(theirs.path, scenario);
      expect(wanted).not.toBe("ok");
      expect(await failureOf(ours.path, scenario)).toBe(wanted);
    });
  }
});

/** The error, with what differs from host to host replaced by what it is. */
async function failureOf(plugins: string, scenario: Scenario): Promise<string> {
  await using host = await createCniHost(plugins);
  const pod = await host.addPod();
  const told = await scenario(host, pod);
  return told
    .replaceAll(plugins, "PLUGINS")
    .replaceAll(host.directory.path, "DIRECTORY")
    .replaceAll(pod.containerId, "CONTAINER")
    .replaceAll(/veth[0-9a-f]+/g, "VETH");
}
