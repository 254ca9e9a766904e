import { expect, test } from "bun:test";

import { formatCidr, parseCidr } from "../../src/addr/cidr.ts";
import { formatIp, parseIp } from "../../src/addr/ip.ts";
import { Decoder, parseJson } from "../../src/base/decode.ts";
import { findLink } from "../../src/netlink/link.ts";
import {
  addRoute,
  deleteRoute,
  isDefaultRoute,
  listRoutes,
  replaceRoute,
  type Route,
  type RouteSpec,
  routeSpec,
} from "../../src/netlink/route.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

/** A namespace with v0 (10.0.0.1/24, fd00::1/64) and v1 (10.0.1.1/24), both up. */
async function createNode(): Promise<TestNetns> {
  const netns = await createNetns();
  await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  for (const name of ["v0", "v1"]) await netns.ip("link", "set", name, "addrgenmode", "none", "up");
  await netns.ip("addr", "add", "10.0.0.1/24", "dev", "v0");
  await netns.ip("addr", "add", "fd00::1/64", "dev", "v0", "nodad");
  await netns.ip("addr", "add", "10.0.1.1/24", "dev", "v1");
  return netns;
}

function indexOf(socket: NetlinkSocket, device: string): number {
  const index = findLink(socket, { name: device })?.index;
  if (index === undefined) throw new Error(`Cannot find link "${device}"`);
  return index;
}

/** The routes as `ip` shows them, without those that the kernel makes for addresses. */
async function look(netns: TestNetns, table = "main", family = "-4"): Promise<readonly string[]> {
  const { stdout } = await netns.run(["ip", family, "-j", "-d", "route", "show", "table", table]);
  const routes = new Decoder(parseJson(stdout.trim() === "" ? "[]" : stdout)).list();
  return routes
    .filter((route) => route.field("protocol").string() !== "kernel")
    .map((route) => {
      const words = [route.field("dst").string() ?? ""];
      for (const [key, word] of [
        ["gateway", "via"] as const,
        ["dev", "dev"] as const,
        ["protocol", "proto"] as const,
      ]) {
        const value = route.field(key).string();
        if (value !== undefined) words.push(word, value);
      }
      const scope = route.field("scope").string();
      if (scope !== undefined && scope !== "global") words.push("scope", scope);
      const metric = route.field("metric").integer();
      if (metric !== undefined) words.push("metric", String(metric));
      const [metrics] = route.field("metrics").list();
      for (const key of ["mtu", "advmss"]) {
        const value = metrics?.field(key).integer();
        if (value !== undefined) words.push(key, String(value));
      }
      const flags = route.field("flags").list();
      return [...words, ...flags.map((flag) => flag.string() ?? "")].join(" ");
    });
}

/** Our own list, as lines. */
function list(socket: NetlinkSocket, family: 4 | 6, interfaceIndex?: number): readonly string[] {
  return listRoutes(socket, family, interfaceIndex).map(routeLine);
}

function routeLine(route: Route): string {
  const gateway = route.gateway === undefined ? "" : ` via ${formatIp(route.gateway)}`;
  return `${formatCidr(route.destination)}${gateway} dev ${route.interfaceIndex ?? "-"} proto ${route.protocol}`;
}

/** A spec by words; the device is v0 unless one is given. */
function specOn(
  socket: NetlinkSocket,
  destination: string,
  gateway?: string,
  more: Partial<RouteSpec> = {},
): RouteSpec {
  return routeSpec({
    destination: parseCidr(destination),
    interfaceIndex: indexOf(socket, "v0"),
    ...(gateway === undefined ? {} : { gateway: parseIp(gateway) }),
    ...more,
  });
}

const made: readonly (readonly [
  seen: string,
  destination: string,
  gateway: string | undefined,
  more: Partial<RouteSpec>,
])[] = [
  ["10.244.2.0/24 dev v0 proto boot scope link", "10.244.2.0/24", undefined, {}],
  ["10.244.2.0/24 via 10.0.0.9 dev v0 proto boot", "10.244.2.0/24", "10.0.0.9", {}],
  [
    "10.244.2.0/24 via 10.244.2.0 dev v0 proto 102 onlink",
    "10.244.2.0/24",
    "10.244.2.0",
    { onLink: true, protocol: 102 },
  ],
  ["default via 10.0.0.9 dev v0 proto boot", "0.0.0.0/0", "10.0.0.9", {}],
  ["10.9.9.9 via 10.0.0.9 dev v0 proto static metric 7", "10.9.9.9/32", "10.0.0.9", { protocol: 4, priority: 7 }],
  [
    "10.9.0.0/16 via 10.0.0.9 dev v0 proto boot mtu 1400 advmss 1360",
    "10.9.0.0/16",
    "10.0.0.9",
    { mtu: 1400, advmss: 1360 },
  ],
  ["10.9.0.0/16 dev v0 proto boot scope link mtu 1400", "10.9.0.0/16", undefined, { mtu: 1400 }],
];

const made6: typeof made = [
  ["fd00:2::/64 dev v0 proto boot metric 1024", "fd00:2::/64", undefined, {}],
  ["fd00:2::/64 via fd00::9 dev v0 proto 102 metric 1024", "fd00:2::/64", "fd00::9", { protocol: 102 }],
  ["fd00:2::/64 via fd00:2:: dev v0 proto boot metric 1024 onlink", "fd00:2::/64", "fd00:2::", { onLink: true }],
  ["default via fd00::9 dev v0 proto boot metric 5 mtu 1400", "::/0", "fd00::9", { priority: 5, mtu: 1400 }],
];

await describeWith(["root", "tool:ip", "link:veth"], "netlink/route", () => {
  for (const [verb, request] of [["addRoute", addRoute] as const, ["replaceRoute", replaceRoute] as const]) {
    test.each([...made, ...made6])(`${verb}() makes %s`, async (seen, destination, gateway, more) => {
      await using netns = await createNode();
      using socket = openNetlink(netns);
      const wanted = specOn(socket, destination, gateway, more);
      socket.request(request(wanted));
      const { family } = wanted.destination;
      expect(await look(netns, "main", `-${family}`)).toEqual([seen]);
      const found = listRoutes(socket, family, wanted.interfaceIndex).filter(({ protocol }) => protocol !== 2);
      // The kernel gives IPv6 routes a metric and knows no scope for them.
      const kernels = family === 4 ? {} : { priority: wanted.priority === 0 ? 1024 : wanted.priority, scope: 0 };
      expect(found).toEqual([{ ...wanted, ...kernels, source: undefined }]);
    });
  }

  test("replaceRoute() changes what leads to the destination, and may be repeated", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    socket.request(replaceRoute(specOn(socket, "10.244.2.0/24", "10.0.0.8", { mtu: 1400 })));
    for (let count = 0; count < 2; count++) {
      socket.request(
        replaceRoute(specOn(socket, "10.244.2.0/24", "10.0.1.9", { interfaceIndex: indexOf(socket, "v1") })),
      );
      expect(await look(netns)).toEqual(["10.244.2.0/24 via 10.0.1.9 dev v1 proto boot"]);
    }
  });

  test("replaceRoute() leaves routes of another length, metric or table", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const gateway = "10.0.0.9";
    for (const more of [{}, { priority: 5 }, { table: 100 }, { table: 1000 }]) {
      socket.request(replaceRoute(specOn(socket, "10.244.2.0/24", gateway, more)));
      socket.request(replaceRoute(specOn(socket, "10.244.2.0/25", gateway, more)));
    }
    const [via, through] = ["10.244.2.0/24", "10.244.2.0/25"].map((text) => `${text} via 10.0.0.9 dev v0 proto boot`);
    expect(await look(netns)).toEqual([`${through}`, `${through} metric 5`, `${via}`, `${via} metric 5`]);
    expect([await look(netns, "100"), await look(netns, "1000")]).toEqual([
      [`${through}`, `${via}`],
      [`${through}`, `${via}`],
    ]);
    // The main table alone, without those that came with the address.
    expect(list(socket, 4).filter((line) => line.includes("proto 3"))).toHaveLength(4);
  });

  test("addRoute() adds beside a route that differs, before it, and is refused for an equal one", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    socket.request(addRoute(specOn(socket, "0.0.0.0/0", "10.0.0.8")));
    socket.request(addRoute(specOn(socket, "0.0.0.0/0", "10.0.0.9")));
    expect(() => socket.request(addRoute(specOn(socket, "0.0.0.0/0", "10.0.0.8")))).toThrow(
      /^Cannot add route 0\.0\.0\.0\/0 via 10\.0\.0\.8 dev #\d+: file exists \(EEXIST\)/,
    );
    expect(await look(netns)).toEqual([
      "default via 10.0.0.9 dev v0 proto boot",
      "default via 10.0.0.8 dev v0 proto boot",
    ]);
  });

  test("addRoute() is refused with the kernel's reason for a gateway that nothing leads to", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    expect(() => socket.request(addRoute(specOn(socket, "10.244.2.0/24", "172.31.0.1")))).toThrow(
      /^Cannot add route .* via 172\.31\.0\.1 dev #\d+: network is unreachable \(ENETUNREACH\): Nexthop has invalid gateway$/,
    );
    expect(await look(netns)).toEqual([]);
  });

  test("deleteRoute() deletes the route that it describes and leaves one of another protocol, scope or gateway", async () => {
    await using netns = await createNode();
    await netns.ip("route", "add", "10.244.2.0/24", "via", "10.0.0.9", "dev", "v0", "proto", "102");
    await netns.ip("route", "add", "fd00:2::/64", "via", "fd00::9", "dev", "v0", "proto", "102");
    using socket = openNetlink(netns);
    for (const [destination, gateway, other] of [
      ["10.244.2.0/24", "10.0.0.9", "10.0.0.8"] as const,
      ["fd00:2::/64", "fd00::9", "fd00::8"] as const,
    ]) {
      const wanted = specOn(socket, destination, gateway, { protocol: 102 });
      for (const different of [
        { ...wanted, protocol: 3 },
        { ...wanted, gateway: parseIp(other) },
        { ...wanted, interfaceIndex: indexOf(socket, "v1") },
      ]) {
        expect(() => socket.request(deleteRoute(different))).toThrow("no such process (ESRCH)");
      }
      socket.request(deleteRoute(wanted));
      expect(() => socket.request(deleteRoute(wanted))).toThrow(
        `Cannot delete route ${destination} via ${gateway} dev #`,
      );
    }
    expect([...(await look(netns)), ...(await look(netns, "main", "-6"))]).toEqual([]);
  });

  test("deleteRoute() deletes from a table above 255", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const wanted = specOn(socket, "10.244.2.0/24", undefined, { table: 70_000 });
    socket.request(addRoute(wanted));
    expect(await look(netns, "70000")).toEqual(["10.244.2.0/24 dev v0 proto boot scope link"]);
    socket.request(deleteRoute(wanted));
    expect(await look(netns, "70000")).toEqual([]);
  });

  test("listRoutes() is empty in a namespace that never had a route, and for a device that has gone", async () => {
    await using netns = await createNetns();
    using socket = openNetlink(netns);
    expect([list(socket, 4), list(socket, 6), list(socket, 4, 99), list(socket, 6, 99)]).toEqual([[], [], [], []]);
  });

  test("listRoutes() lists one device or all, and nothing that is not unicast", async () => {
    await using netns = await createNode();
    for (const words of [
      ["10.244.2.0/24", "via", "10.0.0.9", "proto", "102"],
      ["10.244.3.0/24", "nexthop", "via", "10.0.0.9", "dev", "v0", "nexthop", "via", "10.0.1.9", "dev", "v1"],
      ["10.244.4.0/24", "via", "inet6", "fd00::9", "dev", "v0"],
    ]) {
      await netns.ip("route", "add", ...words);
    }
    for (const type of ["blackhole", "unreachable", "prohibit"])
      await netns.ip("route", "add", type, `10.66.${type.length}.0/24`);
    using socket = openNetlink(netns);
    const [v0, v1] = [indexOf(socket, "v0"), indexOf(socket, "v1")];
    expect(list(socket, 4)).toEqual([
      `10.0.0.0/24 dev ${v0} proto 2`,
      `10.0.1.0/24 dev ${v1} proto 2`,
      `10.244.2.0/24 via 10.0.0.9 dev ${v0} proto 102`,
      `10.244.3.0/24 dev - proto 3`,
      `10.244.4.0/24 via fd00::9 dev ${v0} proto 3`,
    ]);
    expect(list(socket, 4, v1)).toEqual([`10.0.1.0/24 dev ${v1} proto 2`]);
    expect(list(socket, 6, v1)).toEqual([]);
  });

  test("isDefaultRoute() knows the default route that ip has made, of either family", async () => {
    await using netns = await createNode();
    await netns.ip("route", "add", "default", "via", "10.0.0.9");
    await netns.ip("route", "add", "0.0.0.0/1", "via", "10.0.0.9");
    await netns.ip("route", "add", "default", "via", "fd00::9");
    using socket = openNetlink(netns);
    const all = [...listRoutes(socket, 4), ...listRoutes(socket, 6)];
    expect(all.filter(({ destination }) => isDefaultRoute(destination)).map(routeLine)).toEqual([
      `0.0.0.0/0 via 10.0.0.9 dev ${indexOf(socket, "v0")} proto 3`,
      `::/0 via fd00::9 dev ${indexOf(socket, "v0")} proto 3`,
    ]);
  });

  test("listRoutes() reads 5,000 routes that batch() has set", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const [interfaceIndex, gateway] = [indexOf(socket, "v0"), parseIp("10.0.0.9")];
    const texts = Array.from({ length: 5000 }, (_, index) => `10.${64 + (index >> 8)}.${index & 255}.0/24`);
    const specs = texts.map((text) => routeSpec({ destination: parseCidr(text), interfaceIndex, gateway }));
    expect(socket.batch(specs.map(replaceRoute))).toEqual([]);
    const found = listRoutes(socket, 4, interfaceIndex).filter(({ protocol }) => protocol === 3);
    expect(found.map(({ destination }) => formatCidr(destination))).toEqual(texts);
    expect(socket.batch(specs.map(deleteRoute))).toEqual([]);
    expect(await look(netns)).toEqual([]);
  });
});
