/** Pings from the demo's pods, by the kernel's raw sockets, and as ping prints them. */
import { formatIp, type IpAddress } from "../../addr/ip.ts";
import { echoPayloadLength, type EchoReply, EchoSocket } from "../../sys/icmp.ts";
import { inNetns } from "../../sys/netns.ts";
import type { DemoPod } from "./pod.ts";

const timeoutMilliseconds = 1000;

/** One request from a pod and its reply, undefined when none came within a second. */
export function pingOnce(from: DemoPod, to: IpAddress): EchoReply | undefined {
  const [id = 0] = crypto.getRandomValues(new Uint16Array(1));
  using socket = inNetns(from.space.netns, () => new EchoSocket(id));
  return socket.echo(to.bytes, 0, timeoutMilliseconds);
}

/** Like: ping -c1 ADDRESS, in busybox's words */
export function pingLines(to: IpAddress, reply: EchoReply | undefined): readonly string[] {
  const target = formatIp(to);
  const received = reply === undefined ? 0 : 1;
  const lines = [`PING ${target} (${target}): ${echoPayloadLength} data bytes`];
  if (reply !== undefined) lines.push(replyLine(target, reply));
  lines.push("", `--- ${target} ping statistics ---`);
  lines.push(`1 packets transmitted, ${received} packets received, ${100 - received * 100}% packet loss`);
  if (reply !== undefined) {
    const time = reply.milliseconds.toFixed(3);
    lines.push(`round-trip min/avg/max = ${time}/${time}/${time} ms`);
  }
  return lines;
}

function replyLine(source: string, reply: EchoReply): string {
  const time = reply.milliseconds.toFixed(3);
  return `${reply.length} bytes from ${source}: seq=${reply.sequence} ttl=${reply.ttl} time=${time} ms`;
}
