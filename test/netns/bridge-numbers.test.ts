import { expect, test } from "bun:test";

import { createCniHost } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink, listRoutes } from "../helpers/kernel.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(
  ["root", "executable", "link:veth", "link:bridge"],
  "bridge with numbers that ask for nothing",
  () => {
    test("an MTU and a route's numbers below 0, and a route that is null, are as if they were not there", async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const pod = await host.addPod();
      const routes = [
        null,
        { dst: "10.9.0.0/16", mtu: -5, advmss: -1, priority: -7, table: -1, scope: null, gw: null },
      ];
      const ipam = host.ipamConfig({ routes });
      const config = host.bridgeConfig({ cniVersion: "1.1.0", mtu: -1, ipam });
      const { result } = await host.add(config, { pod });
      expect((await findLink(pod.netns, "eth0"))?.mtu).toBe(1500);
      const made = (await listRoutes(pod.netns)).map(
        ({ destination, gateway }) => `${destination} ${gateway ?? "direct"}`,
      );
      expect(made.toSorted()).toEqual(["10.244.1.0/24 direct", "10.9.0.0/16 10.244.1.1", "default 10.244.1.1"]);
      expect(result?.["routes"]).toEqual([{ dst: "10.9.0.0/16" }, { dst: "0.0.0.0/0", gw: "10.244.1.1" }]);
      const prevResult = { ...result, routes: [{ dst: "10.9.0.0/16", mtu: -5, table: -1 }] };
      expect(outcome(await host.call("CHECK", { ...config, prevResult }, { pod }))).toBe("ok");
    });

    test("a delegate that cannot be executed is told, and makes STATUS 50", async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      for (const [name, mode, why] of [
        ["broken", 0o755, "it, or the interpreter that its first line names, is not there (ENOENT)"],
        ["plain", 0o644, "permission denied (EACCES)"],
      ] as const) {
        const path = plugins.program(name);
        await Bun.write(path, "#!/nonexistent/sh\n");
        await host.netns.run(["chmod", mode.toString(8), path]);
        const config = host.bridgeConfig({ cniVersion: "1.1.0", ipam: { type: name } });
        const said = `Cannot execute ${path}: ${why}`;
        expect(outcome(await host.call("ADD", config, { pod: await host.addPod() }))).toBe(`999 ${said}`);
        expect(outcome(await host.call("STATUS", config, { pod: await host.addPod() }))).toBe(`50 ${said}`);
      }
    });
  },
);
