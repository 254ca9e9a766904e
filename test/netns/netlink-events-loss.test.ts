import { expect, test } from "bun:test";

import { formatCidr, parseCidr } from "../../src/addr/cidr.ts";
import { parseIp } from "../../src/addr/ip.ts";
import { RTNLGRP_IPV4_ROUTE } from "../../src/netlink/constants.ts";
import { findLink } from "../../src/netlink/link.ts";
import { deleteRoute, replaceRoute, type RouteSpec, routeSpec } from "../../src/netlink/route.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { eventually } from "../helpers/eventually.ts";
import { describeEvent, EventRecorder, openEvents } from "../helpers/netlink-events.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

async function createPair(): Promise<TestNetns> {
  const netns = await createNetns();
  await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  for (const name of ["v0", "v1"]) await netns.ip("link", "set", name, "addrgenmode", "none", "up");
  await netns.ip("addr", "add", "10.0.0.1/24", "dev", "v0");
  return netns;
}

/** Routes to so many different networks, through v0. */
function manyRoutes(socket: NetlinkSocket, count: number): readonly RouteSpec[] {
  const interfaceIndex = findLink(socket, { name: "v0" })?.index ?? 0;
  const gateway = parseIp("10.0.0.9");
  return Array.from({ length: count }, (_, index) => {
    const destination = parseCidr(`10.${64 + (index >> 8)}.${index & 255}.0/24`);
    return routeSpec({ destination, interfaceIndex, gateway });
  });
}

await describeWith(["root", "tool:ip", "link:veth"], "netlink/events", () => {
  test("NetlinkEvents says once when events were lost, and nothing out of order", async () => {
    await using netns = await createPair();
    const recorder = new EventRecorder();
    using listening = new DisposableStack();
    listening.use(openEvents(netns, [RTNLGRP_IPV4_ROUTE], recorder));
    using socket = openNetlink(netns);
    const specs = manyRoutes(socket, 30_000);
    // Synchronous: this thread reads nothing meanwhile.
    expect(socket.batch([...specs.map(replaceRoute), ...specs.map(deleteRoute)])).toEqual([]);
    expect(recorder.lines).toEqual([]);
    expect(await eventually(() => Promise.resolve(recorder.losses), 1)).toBe(1);
    // What came before the loss, as far as it is told, is whole and in order.
    const added = specs.map(({ destination }) => `+route ${formatCidr(destination)}`);
    expect(recorder.lines).toEqual(added.slice(0, recorder.lines.length));
  });

  test("NetlinkEvents tells every change that is made after it has said that events were lost", async () => {
    await using netns = await createPair();
    using socket = openNetlink(netns);
    const specs = manyRoutes(socket, 30_001);
    const late = specs.slice(30_000);
    const heard = new Set<string>();
    using listening = new DisposableStack();
    listening.use(
      openEvents(netns, [RTNLGRP_IPV4_ROUTE], {
        event: (message) => heard.add(describeEvent(message)),
        // The kernel drops events until all that it holds is read, and says so only once.
        lost: () => socket.batchOrThrow(late.map(replaceRoute)),
      }),
    );
    expect(
      socket.batch([...specs.slice(0, 30_000).map(replaceRoute), ...specs.slice(0, 30_000).map(deleteRoute)]),
    ).toEqual([]);
    const wanted = late.map(({ destination }) => `+route ${formatCidr(destination)}`);
    expect(await eventually(() => Promise.resolve(wanted.filter((line) => heard.has(line))), wanted, 2000)).toEqual(
      wanted,
    );
  });

  test("NetlinkEvents holds a burst of 2,000 changes while the process is busy", async () => {
    await using netns = await createPair();
    const recorder = new EventRecorder();
    using listening = new DisposableStack();
    listening.use(openEvents(netns, [RTNLGRP_IPV4_ROUTE], recorder));
    using socket = openNetlink(netns);
    const specs = manyRoutes(socket, 2000);
    expect(socket.batch(specs.map(replaceRoute))).toEqual([]);
    const wanted = specs.map(({ destination }) => `+route ${formatCidr(destination)}`);
    await eventually(() => Promise.resolve(recorder.lines.length), wanted.length);
    expect({ lines: recorder.lines, losses: recorder.losses }).toEqual({ lines: wanted, losses: 0 });
  });
});
