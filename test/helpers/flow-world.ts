import type { Family } from "../../src/addr/ip.ts";
import { type BackgroundProcess, startProcess } from "./background.ts";
import { type Flow, flowAddresses, type FlowAddresses, flowsOf, listenPort, type Place, services } from "./flows.ts";
import { createNetns, type TestNetns } from "./netns.ts";
import { waitUntil } from "./wait-until.ts";

/** A node and what is around it, with a listener in each place. */
export class FlowWorld implements AsyncDisposable {
  readonly places: Readonly<Record<Place, TestNetns>>;
  readonly #listeners = new Map<Place, BackgroundProcess>();
  readonly #stack: AsyncDisposableStack;
  #count = 0;

  constructor(places: Readonly<Record<Place, TestNetns>>, stack: AsyncDisposableStack) {
    this.places = places;
    this.#stack = stack;
  }

  get node(): TestNetns {
    return this.places.node;
  }

  /** Starts what tells who has sent each packet of a family. */
  async listen(family: Family): Promise<void> {
    const hostname = family === 4 ? "0.0.0.0" : "::";
    const script = `
      const data = (_socket, bytes, _port, address) => console.log(bytes.toString() + " " + address);
      await Bun.udpSocket({ hostname: "${hostname}", port: ${listenPort}, socket: { data } });
      console.log("listening");`;
    for (const place of Object.keys(this.places).filter(isPlace)) {
      const argv = this.places[place].argv([process.execPath, "-e", script]);
      const listener = this.#stack.use(startProcess(argv));
      await listener.waitUntil("it listens", () => listener.stdout.includes("listening"));
      this.#listeners.set(place, listener);
    }
  }

  /**
   * Sends a packet and returns the source address that its receiver saw; "nothing" when none came, of several: one may be
   * lost while neighbours are new.
   */
  async send(flow: Flow): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      const seen = await this.#sendOnce(flow);
      if (seen !== "nothing" || attempt === 3) return seen;
    }
  }

  async #sendOnce({ from, source, destination, port, to }: Flow): Promise<string> {
    const text = `packet${this.#count++}`;
    const script = `
      const socket = await Bun.udpSocket({ hostname: ${JSON.stringify(source)} });
      ${destination === flowAddresses[4].multicast ? `socket.setMulticastInterface("${flowAddresses[4].node}");` : ""}
      socket.send("${text}", ${port}, ${JSON.stringify(destination)});
      await Bun.sleep(20);
      socket.close();`;
    await this.places[from].run([process.execPath, "-e", script]);
    const seen = new RegExp(`^${text} (.*)$`, "m");
    try {
      await waitUntil("it arrives", () => seen.test(this.heard(to)), 500);
    } catch {
      return "nothing";
    }
    return seen.exec(this.heard(to))?.[1] ?? "nothing";
  }

  /** All that a place has received so far: a line for each packet, its text and its source address. */
  heard(place: Place): string {
    return this.#listeners.get(place)?.stdout ?? "";
  }

  /** Sends one packet of each flow: what its receiver saw, by the flow's name. */
  async seen(family: Family): Promise<Readonly<Record<string, string>>> {
    const seen: Record<string, string> = {};
    for (const flow of flowsOf(family)) seen[flow.name] = await this.send(flow);
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Makes the places and joins them: the node routes for both families and has no rules but those that stand for kube-proxy. */
export async function createFlowWorld(): Promise<FlowWorld> {
  await using made = new AsyncDisposableStack();
  const [node, pod1, pod2, remote1, remote2, outside] = [
    made.use(await createNetns({ loopbackUp: true })),
    made.use(await createNetns({ loopbackUp: true })),
    made.use(await createNetns({ loopbackUp: true })),
    made.use(await createNetns({ loopbackUp: true })),
    made.use(await createNetns({ loopbackUp: true })),
    made.use(await createNetns({ loopbackUp: true })),
  ];
  const places = { node, pod1, pod2, remote1, remote2, outside };
  await node.run(["sh", "-c", forwardingOn]);
  await node.ip("link", "add", "cni0", "type", "bridge");
  await node.ip("link", "set", "cni0", "up");
  await join(node, "eth0", outside, ["node", "outside"]);
  await join(node, "tun1", remote1, ["tunnel1", "remote1"]);
  await join(node, "tun2", remote2, ["tunnel2", "remote2"]);
  await join(node, "veth1", pod1, [undefined, "pod1"]);
  await join(node, "veth2", pod2, [undefined, "pod2"]);
  for (const family of [4, 6] as const) await addAddresses(family, places);
  for (const { pod1: from, pod2: near, remote1: far, remote2: third, outside: world } of Object.values(flowAddresses)) {
    for (const address of [from, near, far, third, world]) await answers(node, address);
    await answers(pod1, far);
  }
  await node.run(["nft", "-f", "-"], { stdin: serviceRules(4) + serviceRules(6) });
  return new FlowWorld(places, made.move());
}

/** Waits until an address answers: new IPv6 addresses take a moment. */
async function answers(from: TestNetns, address: string): Promise<void> {
  await waitUntil(`${address} answers`, async () => {
    const { exitCode } = await from.run(["ping", "-c", "1", "-W", "1", address], { exitCode: "any" });
    return exitCode === 0;
  });
}

const forwardingOn = `
set -e
cd /proc/sys/net
echo 1 > ipv4/ip_forward
echo 1 > ipv6/conf/all/forwarding
for name in all default; do echo 0 > ipv4/conf/$name/rp_filter; done`;

function isPlace(name: string): name is Place {
  return ["node", "pod1", "pod2", "remote1", "remote2", "outside"].includes(name);
}

/** A cable between the node's device of this name and `eth0` of the other place. */
async function join(
  node: TestNetns,
  device: string,
  other: TestNetns,
  ends: readonly [keyof FlowAddresses | undefined, keyof FlowAddresses],
): Promise<void> {
  await node.ip("link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", other.name);
  if (ends[0] === undefined) await node.ip("link", "set", device, "master", "cni0");
  await node.ip("link", "set", device, "up");
  await other.ip("link", "set", "eth0", "up");
}

async function addAddresses(family: Family, places: Readonly<Record<Place, TestNetns>>): Promise<void> {
  const at = flowAddresses[family];
  const [length, all, link] = family === 4 ? (["24", "32", "24"] as const) : (["64", "128", "64"] as const);
  const nodad = family === 4 ? [] : ["nodad"];
  const { node, pod1, pod2, remote1, remote2, outside } = places;
  await node.ip("addr", "add", `${at.gateway}/${length}`, "dev", "cni0", ...nodad);
  await node.ip("addr", "add", `${at.node}/${link}`, "dev", "eth0", ...nodad);
  await outside.ip("addr", "add", `${at.outside}/${link}`, "dev", "eth0", ...nodad);
  await outside.ip("addr", "add", `${at.multicast}/${all}`, "dev", "eth0", "autojoin", ...nodad);
  await outside.ip("route", "add", at.network, "via", at.node);
  await node.ip("route", "add", "default", "via", at.outside);
  const multicast = ["multicast", `${at.multicast}/${all}`, "dev", "eth0", "table", "local"];
  if (family === 6) await node.ip("-6", "route", "add", ...multicast);
  for (const [pod, address] of [
    [pod1, at.pod1],
    [pod2, at.pod2],
  ] as const) {
    await pod.ip("addr", "add", `${address}/${length}`, "dev", "eth0", ...nodad);
    await pod.ip("route", "add", "default", "via", at.gateway);
  }
  for (const [remote, address, tunnel, device] of [
    [remote1, at.remote1, at.tunnel1, "tun1"],
    [remote2, at.remote2, at.tunnel2, "tun2"],
  ] as const) {
    const far = tunnel.replace(/1$/, "2");
    await node.ip("addr", "add", `${tunnel}/${link}`, "dev", device, ...nodad);
    await remote.ip("addr", "add", `${far}/${link}`, "dev", "eth0", ...nodad);
    await remote.ip("addr", "add", `${address}/${all}`, "dev", "lo", ...nodad);
    await remote.ip("route", "add", "default", "via", tunnel);
    await node.ip("route", "add", `${address}/${all}`, "via", far, "dev", device);
  }
}

/** The mark 0x4000 is the one by which kube-proxy asks for masquerade; 0x20000 stands for its rule that does it. */
function serviceRules(family: Family): string {
  const at = flowAddresses[family];
  const name = family === 4 ? "ip" : "ip6";
  const [remote, pod] = [at.remote1, at.pod1].map((address) => (family === 4 ? address : `[${address}]`));
  return `
    table ${name} services {
      chain in {
        type nat hook prerouting priority dstnat;
        udp dport ${services.marked} meta mark set 0x4000 dnat to ${remote}:5000
        udp dport ${services.markedOtherwise} meta mark set 0xc001 dnat to ${remote}:5000
        udp dport ${services.unmarked} dnat to ${remote}:5000
        udp dport ${services.hostPort} dnat to ${pod}:5000
        udp dport ${services.masqueraded} meta mark set 0x24000 dnat to ${remote}:5000
      }
      chain out {
        type nat hook postrouting priority srcnat;
        meta mark and 0x20000 != 0 masquerade
      }
    }\n`;
}
