import { expect, test } from "bun:test";

import { formatCidr, parseCidr } from "../../src/addr/cidr.ts";
import { Decoder, parseJson } from "../../src/base/decode.ts";
import {
  addAddress,
  type AddressSpec,
  deleteAddress,
  listAddresses,
  replaceAddress,
} from "../../src/netlink/address.ts";
import { findLink } from "../../src/netlink/link.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { eventually } from "../helpers/eventually.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

/** A namespace with the devices v0 and v1, both up and without addresses of the kernel's own. */
async function createPair(): Promise<TestNetns> {
  const netns = await createNetns();
  await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  for (const name of ["v0", "v1"]) await netns.ip("link", "set", name, "addrgenmode", "none", "up");
  return netns;
}

function spec(socket: NetlinkSocket, device: string, text: string): AddressSpec {
  const index = findLink(socket, { name: device })?.index;
  if (index === undefined) throw new Error(`Cannot find link "${device}"`);
  return { interfaceIndex: index, address: parseCidr(text) };
}

/** The addresses of a device as `ip` shows them: `10.0.0.1/24 brd 10.0.0.255 scope global forever`. */
async function look(netns: TestNetns, device: string): Promise<readonly string[]> {
  const { stdout } = await netns.run(["ip", "-j", "addr", "show", "dev", device]);
  const [link] = new Decoder(parseJson(stdout)).list();
  return (link?.field("addr_info").list() ?? []).map((info) => {
    const flags = ["secondary", "tentative", "nodad", "temporary", "deprecated"].filter(
      (flag) => info.field(flag).boolean() === true,
    );
    const broadcast = info.field("broadcast").string();
    const words = [`${info.field("local").string() ?? ""}/${info.field("prefixlen").integer() ?? -1}`];
    if (broadcast !== undefined) words.push("brd", broadcast);
    words.push("scope", info.field("scope").string() ?? "", ...flags);
    // Go and C show the greatest number of 32 bits for ever.
    if (info.field("valid_life_time").integer() === 4_294_967_295) words.push("forever");
    return words.join(" ");
  });
}

/** Our own list, of one device or all. */
function list(socket: NetlinkSocket, ...rest: readonly [interfaceIndex?: number, family?: 4 | 6]): readonly string[] {
  return listAddresses(socket, ...rest).map(
    ({ interfaceIndex, address }) => `${interfaceIndex} ${formatCidr(address)}`,
  );
}

const made: readonly (readonly [text: string, seen: string])[] = [
  ["10.244.1.1/24", "10.244.1.1/24 brd 10.244.1.255 scope global forever"],
  ["10.244.1.0/32", "10.244.1.0/32 scope global forever"],
  ["10.244.1.2/31", "10.244.1.2/31 scope global forever"],
  ["10.244.1.5/30", "10.244.1.5/30 brd 10.244.1.7 scope global forever"],
  ["10.1.2.3/8", "10.1.2.3/8 brd 10.255.255.255 scope global forever"],
  ["fd00:10:244:1::1/64", "fd00:10:244:1::1/64 scope global nodad forever"],
  ["fd00:10:244:1::/128", "fd00:10:244:1::/128 scope global nodad forever"],
];

await describeWith(["root", "tool:ip", "link:veth"], "netlink/address", () => {
  for (const [verb, request] of [["addAddress", addAddress] as const, ["replaceAddress", replaceAddress] as const]) {
    test.each(made)(`${verb}() gives %s, usable at once, as ip and listAddresses() see it`, async (text, seen) => {
      await using netns = await createPair();
      using socket = openNetlink(netns);
      const wanted = spec(socket, "v0", text);
      socket.request(request(wanted));
      expect(await look(netns, "v0")).toEqual([seen]);
      expect(list(socket, wanted.interfaceIndex)).toEqual([`${wanted.interfaceIndex} ${text}`]);
      expect(await look(netns, "v1")).toEqual([]);
    });
  }

  test("addAddress() is refused for an address that the device has, and names it", async () => {
    await using netns = await createPair();
    using socket = openNetlink(netns);
    for (const text of ["10.244.1.1/24", "fd00::1/64"]) {
      const wanted = spec(socket, "v0", text);
      socket.request(addAddress(wanted));
      expect(() => socket.request(addAddress(wanted))).toThrow(
        `Cannot add address ${text} dev #${wanted.interfaceIndex}: file exists (EEXIST)`,
      );
    }
    expect(await look(netns, "v0")).toHaveLength(2);
  });

  test("replaceAddress() may be repeated, and makes a limited address last", async () => {
    await using netns = await createPair();
    await netns.ip("addr", "add", "10.244.1.1/24", "brd", "+", "dev", "v0", "valid_lft", "100", "preferred_lft", "100");
    using socket = openNetlink(netns);
    for (let count = 0; count < 3; count++) socket.request(replaceAddress(spec(socket, "v0", "10.244.1.1/24")));
    expect(await look(netns, "v0")).toEqual(["10.244.1.1/24 brd 10.244.1.255 scope global forever"]);
  });

  test("replaceAddress() replaces no other address, not even one of another length", async () => {
    await using netns = await createPair();
    using socket = openNetlink(netns);
    for (const text of ["10.244.1.1/24", "10.244.1.1/32", "10.244.1.2/24"]) {
      socket.request(replaceAddress(spec(socket, "v0", text)));
    }
    const seen = await look(netns, "v0");
    expect(seen.map((line) => line.replace(/ .*/, "")).toSorted()).toEqual([
      "10.244.1.1/24",
      "10.244.1.1/32",
      "10.244.1.2/24",
    ]);
  });

  test("deleteAddress() deletes that address alone, once", async () => {
    await using netns = await createPair();
    for (const text of ["10.1.0.1/24", "10.2.0.1/24", "fd00::1/64", "fd00::2/64"]) {
      await netns.ip("addr", "add", text, "dev", "v0");
    }
    using socket = openNetlink(netns);
    socket.request(deleteAddress(spec(socket, "v0", "10.1.0.1/24")));
    socket.request(deleteAddress(spec(socket, "v0", "fd00::2/64")));
    const seen = await look(netns, "v0");
    expect(seen.map((line) => line.split(" ")[0])).toEqual(["10.2.0.1/24", "fd00::1/64"]);
    expect(() => socket.request(deleteAddress(spec(socket, "v0", "10.1.0.1/24")))).toThrow(
      /^Cannot delete address 10\.1\.0\.1\/24 dev #\d+: cannot assign requested address \(EADDRNOTAVAIL\)/,
    );
    expect(() => socket.request(deleteAddress(spec(socket, "v1", "10.2.0.1/24")))).toThrow("(EADDRNOTAVAIL)");
    expect(() => socket.request(deleteAddress(spec(socket, "v0", "10.2.0.1/32")))).toThrow("(EADDRNOTAVAIL)");
  });

  test("addAddress() and deleteAddress() tell that the device is missing", async () => {
    await using netns = await createNetns();
    using socket = openNetlink(netns);
    const absent = { interfaceIndex: 99, address: parseCidr("10.0.0.1/24") };
    expect(() => socket.request(addAddress(absent))).toThrow("Cannot add address 10.0.0.1/24 dev #99: no such device");
    expect(() => socket.request(deleteAddress(absent))).toThrow("Cannot delete address 10.0.0.1/24 dev #99: no such");
  });

  test("listAddresses() lists all devices or one, both families or one", async () => {
    await using netns = await createPair();
    await netns.ip("addr", "add", "10.0.0.1/24", "dev", "v0");
    await netns.ip("addr", "add", "fd00::1/64", "dev", "v0", "nodad");
    await netns.ip("addr", "add", "10.0.1.1/24", "dev", "v1");
    using socket = openNetlink(netns);
    const v0 = findLink(socket, { name: "v0" })?.index ?? 0;
    const v1 = findLink(socket, { name: "v1" })?.index ?? 0;
    expect(list(socket)).toEqual([`${v1} 10.0.1.1/24`, `${v0} 10.0.0.1/24`, `${v0} fd00::1/64`]);
    expect(list(socket, v0)).toEqual([`${v0} 10.0.0.1/24`, `${v0} fd00::1/64`]);
    expect(list(socket, v0, 4)).toEqual([`${v0} 10.0.0.1/24`]);
    expect(list(socket, v0, 6)).toEqual([`${v0} fd00::1/64`]);
    expect(list(socket, v1, 6)).toEqual([]);
    expect(list(socket, 0, 4)).toEqual([`${v1} 10.0.1.1/24`, `${v0} 10.0.0.1/24`]);
  });

  test("listAddresses() is empty for a device that has gone", async () => {
    await using netns = await createNetns();
    using socket = openNetlink(netns);
    expect([list(socket, 99), list(socket, 99, 4), list(socket, 99, 6)]).toEqual([[], [], []]);
  });

  test("listAddresses() reads what ip has made: its own end, scope, and flags", async () => {
    await using netns = await createPair();
    await netns.ip("addr", "add", "10.0.0.1", "peer", "10.0.0.2/32", "dev", "v0", "scope", "link");
    await netns.ip("addr", "add", "10.0.1.1/24", "dev", "v0", "label", "v0:other");
    await netns.ip("addr", "add", "fd00::1/64", "dev", "v0", "preferred_lft", "0", "nodad");
    await netns.ip("addr", "add", "fd00::2/64", "dev", "v0");
    using socket = openNetlink(netns);
    const index = findLink(socket, { name: "v0" })?.index ?? 0;
    const flagged = listAddresses(socket, index).map(
      ({ address, scope, flags }) => `${formatCidr(address)} scope ${scope} flags 0x${flags.toString(16)}`,
    );
    // permanent 0x80; deprecated 0x20 and nodad 2; tentative 0x40
    expect(flagged.filter((line) => !line.startsWith("fd00::2"))).toEqual([
      "10.0.0.1/32 scope 253 flags 0x80",
      "10.0.1.1/24 scope 0 flags 0x80",
      "fd00::1/64 scope 0 flags 0xa2",
    ]);
    expect(flagged).toContain("fd00::2/64 scope 0 flags 0xc0");
    const flagsOf = await eventually(
      () => Promise.resolve(listAddresses(socket, index, 6).map(({ flags }) => flags)),
      [0x80, 0xa2],
    );
    expect(flagsOf.toSorted((left, right) => left - right)).toEqual([0x80, 0xa2]);
  });

  test("listAddresses() reads more than fits one answer", async () => {
    await using netns = await createPair();
    const texts = Array.from({ length: 1500 }, (_, index) => `10.9.${index >> 8}.${index & 255}/32`);
    await netns.run(["ip", "-batch", "-"], { stdin: texts.map((text) => `addr add ${text} dev v0\n`).join("") });
    using socket = openNetlink(netns);
    const index = findLink(socket, { name: "v0" })?.index ?? 0;
    expect(list(socket, index, 4)).toEqual(texts.map((text) => `${index} ${text}`));
  });
});
