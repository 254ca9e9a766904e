import { expect, test } from "bun:test";

import { findPacketLines } from "../../src/operator/demo/packet-text.ts";
import { EchoSocket } from "../../src/sys/icmp.ts";
import { findNetns, inNetns } from "../../src/sys/netns.ts";
import { type CapturedFrame, PacketCapture } from "../../src/sys/packet.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";

const nearAddress = Uint8Array.of(10, 9, 0, 1);
const farAddress = Uint8Array.of(10, 9, 0, 2);

/** The kernel switches time stamps on a moment after they are asked for. */
const settleMs = 50;

/** Two machines on one cable, `eth0` at both ends. */
async function connect(near: TestNetns, far: TestNetns): Promise<void> {
  await near.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far.name);
  for (const [netns, address] of [
    [near, "10.9.0.1/24"],
    [far, "10.9.0.2/24"],
  ] as const) {
    await netns.ip("addr", "add", address, "dev", "eth0");
    await netns.ip("link", "set", "eth0", "up");
  }
}

/** Something made inside a test's namespace, and used from outside. */
function openInside<T>(netns: TestNetns, open: () => T extends PromiseLike<unknown> ? never : T): T {
  using found = findNetns(netns.path);
  if (found === undefined) throw new Error(`Cannot find network namespace "${netns.path}"`);
  return inNetns(found, open);
}

async function deviceIndex(netns: TestNetns, name: string): Promise<number> {
  const { stdout } = await netns.run(["cat", `/sys/class/net/${name}/ifindex`]);
  return Number(stdout);
}

/** Words of 32 bits, in host order. */
function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** A file as tcpdump writes it, with time stamps in nanoseconds (pcap-savefile(5)). */
function captureFile(frames: readonly CapturedFrame[]): Uint8Array {
  const header = words(0xa1b23c4d, 2 | (4 << 16), 0, 0, 262_144, 1);
  const records = frames.flatMap(({ seconds, nanoseconds, bytes }) => [
    words(seconds, nanoseconds, bytes.length, bytes.length),
    bytes,
  ]);
  return Buffer.concat([header, ...records]);
}

await describeWith(["root", "link:veth", "tool:tcpdump"], "ping and capture", () => {
  test("EchoSocket gets the reply of the machine at the other end, with its TTL", async () => {
    await using near = await createNetns();
    await using far = await createNetns();
    await connect(near, far);
    await far.run(["sh", "-c", "echo 33 > /proc/sys/net/ipv4/ip_default_ttl"]);
    using socket = openInside(near, () => new EchoSocket(7));
    const reply = socket.echo(farAddress, 3, 1000);
    expect(reply).toMatchObject({ source: farAddress, ttl: 33, sequence: 3, length: 64 });
    expect(reply?.milliseconds).toBeWithin(0, 1000);
  });

  test("EchoSocket tells its replies from those of another, and waits no longer than it may", async () => {
    await using near = await createNetns();
    await using far = await createNetns();
    await connect(near, far);
    using first = openInside(near, () => new EchoSocket(1));
    using second = openInside(near, () => new EchoSocket(2));
    // The first gets its own reply only after one that was meant for the second.
    expect(second.echo(farAddress, 0, 1000)?.sequence).toBe(0);
    expect(first.echo(farAddress, 1, 1000)?.sequence).toBe(1);
    await far.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all"]);
    const start = performance.now();
    expect(first.echo(farAddress, 2, 200)).toBeUndefined();
    expect(performance.now() - start).toBeWithin(190, 1000);
  });

  test("PacketCapture copies each frame once with the kernel's time, and tcpdump prints them as findPacketLines()", async () => {
    await using near = await createNetns();
    await using far = await createNetns();
    await connect(near, far);
    const index = await deviceIndex(near, "eth0");
    using capture = openInside(near, () => new PacketCapture(index));
    await Bun.sleep(settleMs);
    using socket = openInside(near, () => new EchoSocket(9));
    const before = Date.now();
    expect(socket.echo(farAddress, 0, 1000)).toBeDefined();
    const after = Date.now();
    // The reading is late on purpose: the time is the packet's, not the reader's.
    await Bun.sleep(settleMs);
    const frames = capture.take().filter((frame) => findPacketLines(frame) !== undefined);
    expect(frames).toHaveLength(2);
    expect(capture.take()).toEqual([]);
    const times = frames.map((frame) => frame.seconds * 1000 + frame.nanoseconds / 1e6);
    expect(times).toEqual(times.toSorted((left, right) => left - right));
    for (const time of times) expect(time).toBeWithin(before, after + 1);
    await using directory = await createTemporaryDirectory();
    const file = directory.join("frames.pcap");
    await Bun.write(file, captureFile(frames));
    const { stdout } = await near.run(["tcpdump", "-n", "-v", "-T", "vxlan", "-r", file]);
    expect(frames.flatMap((frame) => findPacketLines(frame) ?? [])).toEqual(stdout.trimEnd().split("\n"));
  });

  test("PacketCapture of a bridge shows what passes between its ports", async () => {
    await using middle = await createNetns();
    await using near = await createNetns();
    await using far = await createNetns();
    await middle.ip("link", "add", "br0", "up", "type", "bridge");
    for (const [netns, port, address] of [
      [near, "p1", "10.9.0.1/24"],
      [far, "p2", "10.9.0.2/24"],
    ] as const) {
      await middle.ip(
        "link",
        "add",
        port,
        "master",
        "br0",
        "up",
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        netns.name,
      );
      await netns.ip("addr", "add", address, "dev", "eth0");
      await netns.ip("link", "set", "eth0", "up");
    }
    const index = await deviceIndex(middle, "br0");
    using capture = openInside(middle, () => new PacketCapture(index));
    using socket = openInside(near, () => new EchoSocket(9));
    expect(socket.echo(farAddress, 0, 1000)?.source).toEqual(farAddress);
    const seconds = capture.take().flatMap((frame) => findPacketLines(frame)?.[1] ?? []);
    expect(seconds).toEqual([
      `    ${nearAddress.join(".")} > ${farAddress.join(".")}: ICMP echo request, id 9, seq 0, length 64`,
      `    ${farAddress.join(".")} > ${nearAddress.join(".")}: ICMP echo reply, id 9, seq 0, length 64`,
    ]);
  });
});
