import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";

import { formatCidr, parseCidr } from "../../src/addr/cidr.ts";
import { parseIp } from "../../src/addr/ip.ts";
import { changeLink, findLink, getLink, listLinks } from "../../src/netlink/link.ts";
import { buildRequest, NetlinkError, type Request } from "../../src/netlink/message.ts";
import { addRoute, listRoutes, replaceRoute, routeSpec } from "../../src/netlink/route.ts";
import { NetlinkSocket } from "../../src/netlink/socket.ts";
import { errno, failedWith } from "../../src/sys/errno.ts";
import { inNetns, ownNetnsIdentity } from "../../src/sys/netns.ts";
import { runCommand } from "../helpers/command.ts";
import { openNetlink, openNetns } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

/** A namespace with v0 (10.0.0.1/24), up. */
async function createNode(): Promise<TestNetns> {
  const netns = await createNetns();
  await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  await netns.ip("addr", "add", "10.0.0.1/24", "dev", "v0");
  for (const name of ["v0", "v1"]) await netns.ip("link", "set", name, "up");
  return netns;
}

/** The nth of many routes: with the given gateway it is done, or refused. */
function route(socket: NetlinkSocket, index: number, gateway = "10.0.0.9"): Request {
  const interfaceIndex = findLink(socket, { name: "v0" })?.index ?? 0;
  const destination = parseCidr(`10.${64 + (index >> 8)}.${index & 255}.0/24`);
  return addRoute(routeSpec({ destination, interfaceIndex, gateway: parseIp(gateway), protocol: 102 }));
}

function made(socket: NetlinkSocket): readonly string[] {
  return listRoutes(socket, 4)
    .filter(({ protocol }) => protocol === 102)
    .map(({ destination }) => formatCidr(destination));
}

const unreachable = "172.31.0.1";

await describeWith(["root", "tool:ip", "link:veth"], "netlink/socket", () => {
  test("batch() does what comes before and after a refused request, and says which was refused and why", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const requests = [route(socket, 0), route(socket, 1), route(socket, 2, unreachable), route(socket, 3)];
    const refusals = socket.batch(requests);
    expect(refusals.map(({ index }) => index)).toEqual([2]);
    expect(refusals[0]?.error).toBeInstanceOf(NetlinkError);
    expect(refusals[0]?.error.message).toMatch(
      /^Cannot add route 10\.64\.2\.0\/24 via 172\.31\.0\.1 dev #\d+: network is unreachable \(ENETUNREACH\): Nexthop has invalid gateway$/,
    );
    expect(refusals[0]?.error.kernelMessage).toBe("Nexthop has invalid gateway");
    expect(made(socket)).toEqual(["10.64.0.0/24", "10.64.1.0/24", "10.64.3.0/24"]);
  });

  test.each([
    ["the first", [0]],
    ["the last", [3]],
    ["all", [0, 1, 2, 3]],
  ])("batch() tells when %s is refused", async (_text, refused) => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const requests = [0, 1, 2, 3].map((index) =>
      route(socket, index, refused.includes(index) ? unreachable : undefined),
    );
    expect(socket.batch(requests).map(({ index }) => index)).toEqual(refused);
    expect(made(socket)).toHaveLength(4 - refused.length);
  });

  test("batch() takes any number of requests, and counts refused ones through all", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const refused = [0, 99, 100, 101, 199, 200, 349];
    const requests = Array.from({ length: 350 }, (_, index) =>
      route(socket, index, refused.includes(index) ? unreachable : undefined),
    );
    expect(socket.batch(requests).map(({ index }) => index)).toEqual(refused);
    expect(made(socket)).toHaveLength(350 - refused.length);
    expect(socket.batch([])).toEqual([]);
  });

  test("batch() loses no refusal when all of many are refused, with the kernel's words", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const refusals = socket.batch(Array.from({ length: 1000 }, (_, index) => route(socket, index, unreachable)));
    expect(refusals.map(({ index }) => index)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    expect(new Set(refusals.map(({ error }) => error.kernelMessage))).toEqual(new Set(["Nexthop has invalid gateway"]));
    expect(made(socket)).toEqual([]);
  });

  test("batchOrThrow() does all and throws the first refusal", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const requests = [route(socket, 0, unreachable), route(socket, 1), route(socket, 0, "172.31.0.2")];
    expect(() => socket.batchOrThrow(requests)).toThrow("via 172.31.0.1");
    expect(made(socket)).toEqual(["10.64.1.0/24"]);
    expect(() => socket.batchOrThrow([route(socket, 2)])).not.toThrow();
  });

  test("a socket works on after refusals", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    for (let count = 0; count < 50; count++) {
      expect(() => socket.request(getLink({ name: "absent0" }))).toThrow("Cannot find link absent0: no such device");
      expect(findLink(socket, { name: "v0" })?.name).toBe("v0");
      expect(socket.batch([route(socket, 0, unreachable)])).toHaveLength(1);
      expect(listLinks(socket)).toHaveLength(3);
    }
  });

  test("request() sends messages that are longer than the first room of a writer", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    for (let length = 240; length < 256; length++) {
      const alias = "a".repeat(length);
      socket.request(changeLink({ name: "v0" }, { alias }));
      expect(findLink(socket, { name: "v0" })?.alias).toBe(alias);
    }
  });

  test("request() and dump() tell what the kernel says of a message that it does not understand", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const unknown = buildRequest(999, 0, "do the unknown", (writer) => writer.zeros(16));
    expect(() => socket.request(unknown)).toThrow("Cannot do the unknown: operation not supported (EOPNOTSUPP)");
    expect(() => socket.dump(unknown)).toThrow("Cannot do the unknown: operation not supported (EOPNOTSUPP)");
    // RTM_GETROUTE with a header that is too short for NETLINK_GET_STRICT_CHK
    const short = buildRequest(26, 0, "list routes", (writer) => writer.u8(2).zeros(3));
    expect(() => socket.dump(short)).toThrow("Cannot list routes: invalid argument (EINVAL): Invalid header for");
  });

  test("a socket belongs to the namespace in which it was opened", async () => {
    await using netns = await createNode();
    await using other = await createNetns();
    const before = ownNetnsIdentity();
    using socket = openNetlink(netns);
    using otherSocket = openNetlink(other);
    using own = new NetlinkSocket();
    expect(ownNetnsIdentity()).toBe(before);
    expect([socket, otherSocket].map((each) => listLinks(each).map(({ name }) => name))).toEqual([
      ["lo", "v1", "v0"],
      ["lo"],
    ]);
    const { stdout } = await runCommand(["ip", "-o", "link", "show"]);
    const names = stdout
      .trim()
      .split("\n")
      .map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? line);
    expect(listLinks(own).map(({ name }) => name)).toEqual(names);
  });

  test("a socket goes on in a namespace that has no name any more", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    await netns.remove();
    expect(listLinks(socket).map(({ name }) => name)).toEqual(["lo", "v1", "v0"]);
  });

  test("NetlinkSocket leaves no descriptor behind, also when it cannot be opened", async () => {
    await using netns = await createNode();
    const before = new Set(descriptorTargets());
    using namespace = openNetns(netns);
    for (let count = 0; count < 20; count++) {
      using socket = inNetns(namespace, () => new NetlinkSocket());
      listLinks(socket);
      socket.batch([route(socket, 0, unreachable)]);
      // No family of the kernel's has the number 31.
      expect(() => new NetlinkSocket(31)).toThrow("protocol not supported");
    }
    // The namespace's own.
    expect(descriptorTargets().filter((target) => !before.has(target))).toHaveLength(1);
  });

  test("a socket that was disposed of is not used", async () => {
    await using netns = await createNode();
    const socket = openNetlink(netns);
    const request = replaceRoute(routeSpec({ destination: parseCidr("10.9.0.0/16"), interfaceIndex: 1 }));
    socket[Symbol.dispose]();
    expect(() => socket.request(request)).toThrow("Cannot use file descriptor: it is closed");
    expect(failedWith(new NetlinkError("do", errno.EBADF), errno.EBADF)).toBe(true);
  });
});

/** What this process has open. The runtime may close some of its own at any time; the directory's own has gone when it is read. */
function descriptorTargets(): readonly string[] {
  return readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      return [readlinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return [];
    }
  });
}
