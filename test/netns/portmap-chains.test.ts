/** Our portmap behind the reference's plugins, which make other devices. */
import { expect, test } from "bun:test";

import { askMirror, startMirror } from "../helpers/mirror.ts";
import { podElements } from "../helpers/nftables.ts";
import { peerDirectory } from "../helpers/peers.ts";
import { createPortHost, hostAddress, mapping, outsideAddress, portmapConfig } from "../helpers/port-host.ts";
import { describeWith } from "../helpers/require.ts";

const reference = peerDirectory("cni-plugins");

await describeWith(["root", "executable", "link:veth", "peer:cni-plugins"], "portmap in other chains", () => {
  for (const type of ["bridge", "ptp"]) {
    test(`leads to a pod that the reference's ${type} has made, and sees when it is gone`, async () => {
      await using place = await createPortHost();
      const { host, outside } = place;
      const routes = type === "ptp" ? [{ dst: "0.0.0.0/0" }] : [];
      const config = host.bridgeConfig({ cniVersion: "1.0.0", type, ipam: host.ipamConfig({ routes }) });
      const pod = await host.addPod();
      const next = await host.addPod();
      const { result = {} } = await host.add(config, { pod, plugins: reference });
      await host.add(portmapConfig(result, [mapping(8080, 80)]), { pod });
      await using mirrors = new AsyncDisposableStack();
      mirrors.use(await startMirror(pod.netns, "web", 80));
      expect(await askMirror(outside, hostAddress[4], 8080)).toBe(`web ${outsideAddress[4]}`);
      expect(await askMirror(host.netns, "127.0.0.1", 8080)).toBe("web 10.244.1.1");
      expect(await askMirror(pod.netns, hostAddress[4], 8080)).toBe("web 10.244.1.1");
      const other = await host.add(config, { pod: next, plugins: reference });
      const wanted = portmapConfig(other.result ?? {}, [mapping(8080, 80)]);
      expect((await host.call("ADD", wanted, { pod: next })).error?.code).toBe(11);
      // The runtime forgets the first pod, and with it portmap's DEL.
      await host.delete(config, { pod, plugins: reference });
      await host.add(wanted, { pod: next });
      expect((await podElements(host.netns)).filter((line) => line.includes("10.244.1.2"))).toEqual([]);
      await host.delete(wanted, { pod: next });
      expect(await podElements(host.netns)).toEqual([]);
    });
  }
});
