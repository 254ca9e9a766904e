import { expect, test } from "bun:test";

import { formatIp, parseIp } from "../../src/addr/ip.ts";
import { Decoder, parseJson } from "../../src/base/decode.ts";
import { findLink } from "../../src/netlink/link.ts";
import { findRouteTo } from "../../src/netlink/route.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["root", "link:veth"], "on the kernel", () => {
  test("findRouteTo() tells the device and the source that a packet would have, like ip route get", async () => {
    await using netns = await createNetns();
    await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
    for (const name of ["v0", "v1"]) await netns.ip("link", "set", name, "up");
    await netns.ip("addr", "add", "10.0.0.1/24", "dev", "v0");
    await netns.ip("addr", "add", "10.0.1.1/24", "dev", "v1");
    await netns.ip("route", "add", "default", "via", "10.0.1.9", "src", "10.0.1.1");
    using socket = openNetlink(netns);
    for (const address of ["8.8.8.8", "10.0.0.7", "10.0.1.7"]) {
      const { stdout } = await netns.run(["ip", "-j", "route", "get", address]);
      const [shown] = new Decoder(parseJson(stdout)).list();
      const route = findRouteTo(socket, parseIp(address));
      const device = findLink(socket, { name: shown?.field("dev").string() ?? "" });
      expect(route?.interfaceIndex).toBe(device?.index ?? -1);
      expect(route?.source && formatIp(route.source)).toBe(shown?.field("prefsrc").string() ?? "");
    }
    expect(findRouteTo(socket, parseIp("10.0.0.1"))).toBeUndefined();
    await netns.ip("route", "delete", "default");
    expect(findRouteTo(socket, parseIp("8.8.8.8"))).toBeUndefined();
  });
});
