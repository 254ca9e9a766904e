import { expect, test } from "bun:test";

import { Decoder, type JsonObject } from "../../src/base/decode.ts";
import { type CniHost, createCniHost, type TestPod } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

interface Added {
  readonly host: CniHost;
  readonly pod: TestPod;
  /** Name of the pair's end on the host. */
  readonly veth: string;
}

const damages: readonly (readonly [claim: string, damage: (added: Added) => Promise<unknown>, words: RegExp])[] = [
  [
    "the container's MTU is another",
    ({ pod }): Promise<unknown> => pod.netns.ip("link", "set", "eth0", "mtu", "1300"),
    /^999 Interface eth0 MTU 1450 doesn't match current MTU: 1300$/,
  ],
  [
    "the host's end has another MTU",
    ({ host, veth }): Promise<unknown> => host.netns.ip("link", "set", veth, "mtu", "1300"),
    /^999 Interface veth\w+ MTU 1450 doesn't match current MTU: 1300$/,
  ],
  [
    "the port is not in hairpin mode",
    ({ host, veth }): Promise<unknown> => host.netns.run(["bridge", "link", "set", "dev", veth, "hairpin", "off"]),
    /^999 Interface veth\w+ is not in hairpin mode$/,
  ],
  [
    "the port is not isolated",
    ({ host, veth }): Promise<unknown> => host.netns.run(["bridge", "link", "set", "dev", veth, "isolated", "off"]),
    /^999 Interface veth\w+ is not isolated$/,
  ],
  [
    "the bridge lacks the gateway address",
    ({ host }): Promise<unknown> => host.netns.ip("address", "delete", "10.244.1.1/24", "dev", "cni0"),
    /^999 Failed to find Gateway 10\.244\.1\.1\/24 on interface cni0$/,
  ],
];

await describeWith(["root", "executable", "link:veth", "link:bridge"], "CHECK of settings", () => {
  for (const [claim, damage, words] of damages) {
    test(`says that ${claim}`, async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const config = host.bridgeConfig({ cniVersion: "1.1.0", portIsolation: true });
      const pod = await host.addPod();
      const { result } = await host.add(config, { pod });
      const veth = new Decoder(result).field("interfaces").list()[1]?.field("name").string() ?? "";
      const checked: JsonObject = { ...config, prevResult: result ?? {} };
      expect(outcome(await host.call("CHECK", checked, { pod }))).toBe("ok");
      await damage({ host, pod, veth });
      expect(outcome(await host.call("CHECK", checked, { pod }))).toMatch(words);
    });
  }

  test("tolerates what the configuration did not ask for", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const members = { hairpinMode: false, isGateway: false, isDefaultGateway: false, cniVersion: "1.1.0" };
    const config = host.bridgeConfig(members);
    const pod = await host.addPod();
    const ipam = host.ipamConfig({ routes: [] });
    const { result } = await host.add({ ...config, ipam }, { pod });
    expect(outcome(await host.call("CHECK", { ...config, ipam, prevResult: result ?? {} }, { pod }))).toBe("ok");
  });
});
