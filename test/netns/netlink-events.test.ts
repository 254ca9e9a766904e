import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { parseCidr } from "../../src/addr/cidr.ts";
import { parseIp } from "../../src/addr/ip.ts";
import { parseMac } from "../../src/addr/mac.ts";
import * as k from "../../src/netlink/constants.ts";
import { findLink } from "../../src/netlink/link.ts";
import type { Reply } from "../../src/netlink/message.ts";
import { replaceNeighbor } from "../../src/netlink/neighbor.ts";
import { portFilter } from "../../src/netlink/port-filter.ts";
import { replaceRoute, routeSpec } from "../../src/netlink/route.ts";
import { eventually } from "../helpers/eventually.ts";
import { describeEvent, EventRecorder, openEvents } from "../helpers/netlink-events.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const allGroups = [
  k.RTNLGRP_LINK,
  k.RTNLGRP_NEIGH,
  k.RTNLGRP_IPV4_IFADDR,
  k.RTNLGRP_IPV4_ROUTE,
  // RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE
  9,
  11,
] as const;

async function createPair(): Promise<TestNetns> {
  const netns = await createNetns();
  await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  for (const name of ["v0", "v1"]) await netns.ip("link", "set", name, "addrgenmode", "none", "up");
  await netns.ip("addr", "add", "10.0.0.1/24", "dev", "v0");
  return netns;
}

/** A file of src/ as a word of JavaScript. */
function source(path: string): string {
  return JSON.stringify(join(import.meta.dir, "../../src", path));
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

await describeWith(
  ["root", "tool:ip", "tool:bridge", "link:veth", "link:vxlan", "link:bridge"],
  "netlink/events",
  () => {
    test("NetlinkEvents tells of links, addresses, routes, neighbours and forwarding entries", async () => {
      await using netns = await createPair();
      const recorder = new EventRecorder();
      using listening = new DisposableStack();
      listening.use(openEvents(netns, allGroups, recorder));
      await netns.ip("link", "add", "flannel.1", "type", "vxlan", "id", "1", "dev", "v0", "dstport", "8472");
      await netns.ip("addr", "add", "10.1.0.1/24", "dev", "v0");
      await netns.ip("addr", "add", "fd00::1/64", "dev", "v0", "nodad");
      await netns.ip("route", "add", "10.9.0.0/16", "via", "10.0.0.9");
      await netns.ip("-6", "route", "add", "fd00:9::/64", "via", "fd00::9");
      await netns.ip("neigh", "add", "10.0.0.7", "lladdr", "02:00:00:00:00:07", "dev", "v0", "nud", "permanent");
      await netns.run(["bridge", "fdb", "add", "02:00:00:00:00:08", "dev", "flannel.1", "dst", "10.0.0.8", "self"]);
      const added = ["+link flannel.1", "+address 10.1.0.1/24", "+address fd00::1/64", "+route 10.9.0.0/16"];
      added.push("+route fd00:9::/64", "+neighbour 10.0.0.7", "+neighbour 10.0.0.8");
      expect(await recorder.heard(added)).toEqual(added);
      await netns.run(["bridge", "fdb", "del", "02:00:00:00:00:08", "dev", "flannel.1", "dst", "10.0.0.8", "self"]);
      await netns.ip("neigh", "del", "10.0.0.7", "dev", "v0");
      await netns.ip("route", "del", "10.9.0.0/16");
      await netns.ip("addr", "del", "10.1.0.1/24", "dev", "v0");
      await netns.ip("link", "del", "flannel.1");
      const removed = ["-neighbour 10.0.0.8", "-neighbour 10.0.0.7", "-route 10.9.0.0/16", "-address 10.1.0.1/24"];
      removed.push("-link flannel.1");
      expect(await recorder.heard(removed)).toEqual(removed);
      expect(recorder.losses).toBe(0);
    });

    test("portFilter() leaves out what is told of one socket's requests, and nothing else", async () => {
      await using netns = await createPair();
      using own = openNetlink(netns);
      using other = openNetlink(netns);
      const recorder = new EventRecorder();
      using listening = new DisposableStack();
      const listener = {
        filter: portFilter(own.port),
        event: (message: Reply): void => recorder.event(message),
        lost: (): void => recorder.lost(),
      };
      listening.use(openEvents(netns, allGroups, listener));
      const interfaceIndex = findLink(own, { name: "v0" })?.index ?? 0;
      const mac = parseMac("02:00:00:00:00:07");
      const gateway = parseIp("10.0.0.9");
      for (const [socket, number] of [
        [own, 1],
        [other, 2],
      ] as const) {
        const destination = parseCidr(`10.${number}.0.0/16`);
        socket.batchOrThrow([
          replaceRoute(routeSpec({ destination, gateway, interfaceIndex })),
          replaceNeighbor({ interfaceIndex, address: parseIp(`10.0.0.${number + 10}`), mac }),
        ]);
      }
      await netns.ip("route", "del", "10.1.0.0/16");
      const wanted = ["+route 10.2.0.0/16", "+neighbour 10.0.0.12", "-route 10.1.0.0/16"];
      expect(await recorder.heard(wanted)).toEqual(wanted);
      expect(recorder.lines).toEqual(wanted);
    });

    test("NetlinkEvents tells of the groups asked for, in the order of what happened, from its own namespace", async () => {
      await using netns = await createPair();
      await using other = await createPair();
      const recorder = new EventRecorder();
      using listening = new DisposableStack();
      listening.use(openEvents(netns, [k.RTNLGRP_IPV4_ROUTE], recorder));
      for (const [each, destination] of [[other, "10.4.0.0/24"] as const, [netns, "10.3.0.0/24"] as const]) {
        await each.ip("route", "add", destination, "via", "10.0.0.9");
        await each.ip("link", "set", "v1", "mtu", "1400");
        await each.ip("route", "del", destination);
      }
      const wanted = ["+route 10.3.0.0/24", "-route 10.3.0.0/24"];
      await recorder.heard(wanted);
      expect(recorder.lines).toEqual(wanted);
    });

    test("NetlinkEvents does not tell of the IPv4 routes that the kernel drops with a device's last address", async () => {
      await using netns = await createPair();
      await netns.ip("route", "add", "10.9.0.0/16", "via", "10.0.0.9", "dev", "v0", "onlink");
      const recorder = new EventRecorder();
      using listening = new DisposableStack();
      listening.use(openEvents(netns, allGroups, recorder));
      await netns.ip("addr", "del", "10.0.0.1/24", "dev", "v0");
      await netns.ip("link", "set", "v1", "mtu", "1400");
      await recorder.heard(["-address 10.0.0.1/24", "+link v1"]);
      expect(recorder.lines.filter((line) => line.includes("10.9.0.0"))).toEqual([]);
      const { stdout } = await netns.ip("route", "show");
      // Hence: whoever wants to know about routes has to look again after an event about addresses.
      expect(stdout).toBe("");
    });

    test("two NetlinkEvents in one process hear each their own, and one goes on when the other has ended", async () => {
      await using first = await createPair();
      await using second = await createPair();
      const recorders = [new EventRecorder(), new EventRecorder()] as const;
      const ending = openEvents(first, [k.RTNLGRP_IPV4_ROUTE], recorders[0]);
      using listening = new DisposableStack();
      listening.use(openEvents(second, [k.RTNLGRP_IPV4_ROUTE], recorders[1]));
      await first.ip("route", "add", "10.1.0.0/24", "via", "10.0.0.9");
      await second.ip("route", "add", "10.2.0.0/24", "via", "10.0.0.9");
      expect(await recorders[0].heard(["+route 10.1.0.0/24"])).toHaveLength(1);
      ending[Symbol.dispose]();
      await first.ip("route", "del", "10.1.0.0/24");
      await second.ip("route", "del", "10.2.0.0/24");
      expect(await recorders[1].heard(["+route 10.2.0.0/24", "-route 10.2.0.0/24"])).toHaveLength(2);
      expect(recorders[0].lines).toEqual(["+route 10.1.0.0/24"]);
    });

    test("NetlinkEvents leaves no descriptor and no signal handler behind", async () => {
      await using netns = await createNetns();
      const before = { descriptors: descriptors(), handlers: process.listenerCount("SIGIO") };
      for (let count = 0; count < 10; count++) {
        using listening = new DisposableStack();
        listening.use(openEvents(netns, allGroups, new EventRecorder()));
        expect(process.listenerCount("SIGIO")).toBe(before.handlers + 1);
        // rtnetlink has no group of this number.
        expect(() => openEvents(netns, [99_999], new EventRecorder())).toThrow("invalid argument (EINVAL)");
      }
      expect({ descriptors: descriptors(), handlers: process.listenerCount("SIGIO") }).toEqual(before);
    });

    test("NetlinkEvents may be disposed of by its listener, and disposed of again", async () => {
      await using netns = await createPair();
      const heard: string[] = [];
      const events = openEvents(netns, [k.RTNLGRP_IPV4_ROUTE], {
        event(message): void {
          heard.push(describeEvent(message));
          events[Symbol.dispose]();
        },
        lost(): void {
          heard.push("lost");
        },
      });
      const stdin = Buffer.from("route add 10.1.0.0/24 via 10.0.0.9\nroute add 10.2.0.0/24 via 10.0.0.9\n");
      Bun.spawnSync([...netns.argv(["ip", "-batch", "-"])], { stdin });
      expect(await eventually(() => Promise.resolve([...heard]), ["+route 10.1.0.0/24"])).toEqual([
        "+route 10.1.0.0/24",
      ]);
      events[Symbol.dispose]();
      await Bun.sleep(20);
      expect(heard).toHaveLength(1);
    });

    test("a process survives the end of its NetlinkEvents with signals still on their way", async () => {
      await using netns = await createPair();
      const script = `
      const { NetlinkEvents } = await import(${source("netlink/events.ts")});
      const { NetlinkSocket } = await import(${source("netlink/socket.ts")});
      const { changeLink } = await import(${source("netlink/link.ts")});
      using socket = new NetlinkSocket();
      for (let round = 0; round < 300; round++) {
        using events = new NetlinkEvents([1], { event() {}, lost() {} });
        socket.request(changeLink({ name: "v0" }, { mtu: 1300 + (round % 100) }));
        if (round % 3 === 0) await Bun.sleep(0);
      }
      console.log("alive");`;
      const { stdout } = await netns.run([process.execPath, "-e", script]);
      expect(stdout).toBe("alive\n");
    });

    test("an idle process that listens uses no processor time", async () => {
      await using netns = await createPair();
      const script = `
      const { NetlinkEvents } = await import(${source("netlink/events.ts")});
      using events = new NetlinkEvents([1], { event() {}, lost() {} });
      await Bun.sleep(200);
      const before = process.cpuUsage();
      await Bun.sleep(500);
      const { user, system } = process.cpuUsage(before);
      console.log(user + system);`;
      const { stdout } = await netns.run([process.execPath, "-e", script]);
      expect(Number(stdout)).toBeLessThan(100_000);
    });
  },
);
