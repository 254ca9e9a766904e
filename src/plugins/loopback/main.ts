import type { Cidr } from "../../addr/cidr.ts";
import { formatIp, type IpAddress } from "../../addr/ip.ts";
import type { CniPlugin, CniRequest } from "../../cni/plugin.ts";
import type { CniResult } from "../../cni/result.ts";
import { listAddresses } from "../../netlink/address.ts";
import { changeLink, findLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { findLivingNetns, inNetns, type Netns, openNetns } from "../../sys/netns.ts";

/** The loopback plugin: starts `lo`, whatever interface the runtime names. */
export const loopback: CniPlugin = {
  name: "loopback",
  about: "CNI loopback plugin of tartan",
  add,
  del,
  check,
  gc: nothing,
  status: nothing,
};

const device = "lo";

/** A result of plugins before this one passes through; else `lo` with the first address of each family is told. */
function add(request: CniRequest): CniResult {
  const { prevResult } = request.config;
  using netns = openNetns(request.netns);
  const addresses = startLoopback(netns);
  const other = addresses.find(({ address }) => !isLoopback(address));
  if (other !== undefined) {
    throw new Error(`loopback interface found with non-loopback address "${formatIp(other.address)}"`);
  }
  return prevResult ?? resultOf(netns.path, addresses);
}

/** A namespace that is gone has no `lo` that is up. */
function del(request: CniRequest): void {
  using netns = findLivingNetns(request.netns);
  if (netns === undefined) return;
  using socket = inNetns(netns, () => new NetlinkSocket());
  socket.request(changeLink({ name: device }, { up: false }));
}

/** The reference's text. */
function check(request: CniRequest): void {
  using netns = openNetns(request.netns);
  using socket = inNetns(netns, () => new NetlinkSocket());
  if (findLink(socket, { name: device })?.up !== true) throw new Error("loopback interface is down");
}

/** Every namespace has its own \`lo\`, which goes with it: there is nothing to free, and nothing that could be missing. */
function nothing(): void {}

function startLoopback(netns: Netns): readonly Cidr[] {
  using socket = inNetns(netns, () => new NetlinkSocket());
  const link = findLink(socket, { name: device });
  if (link === undefined) throw new Error(`Cannot find ${device} in ${netns.path}: every namespace has one`);
  socket.request(changeLink({ index: link.index }, { up: true }));
  return listAddresses(socket, link.index).map(({ address }) => address);
}

function resultOf(sandbox: string, addresses: readonly Cidr[]): CniResult {
  const own = { name: device, mac: "00:00:00:00:00:00", sandbox };
  const interfaces = [{ ...own, mtu: undefined, socketPath: undefined, pciId: undefined }];
  const firsts = [4, 6].flatMap((family) => addresses.find((address) => address.family === family) ?? []);
  const ips = firsts.map((address) => ({ address, gateway: undefined, interfaceIndex: 0 }));
  return { interfaces, ips, routes: [], dns: undefined };
}

/** 127.0.0.0/8 (RFC 1122) and ::1 (RFC 4291). */
function isLoopback(address: IpAddress): boolean {
  if (address.family === 4) return address.bytes[0] === 127;
  return address.bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
}
