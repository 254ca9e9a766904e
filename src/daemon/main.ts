import { concernsUs } from "../backend/relevance.ts";
import { errorText } from "../base/error.ts";
import { versionLine } from "../base/version.ts";
import { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_LINK, RTNLGRP_NEIGH } from "../netlink/constants.ts";
import { NetlinkEvents } from "../netlink/events.ts";
import { NETLINK_NETFILTER } from "../netlink/nftables-constants.ts";
import { portFilter } from "../netlink/port-filter.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { errno, failedWith } from "../sys/errno.ts";
import { type Log, openLog } from "../sys/log.ts";
import { checkSettings, checkSettingsCommand } from "./check-settings.ts";
import { FlagError } from "./flag-syntax.ts";
import { type Invocation, parseInvocation, usageText } from "./flags.ts";
import { serveHealth } from "./health.ts";
import { Settling, startSmall } from "./memory.ts";
import { Node } from "./node.ts";
import { PodRules } from "./pod-rules.ts";
import { LookSchedule } from "./schedule.ts";
import { openSource, readKubeconfigCommand, writeKubeconfig } from "./source.ts";
import { Traffic } from "./traffic.ts";
import { TrafficWatch } from "./traffic-watch.ts";

type RunInvocation = Extract<Invocation, { readonly kind: "run" }>;

const eventGroups = [RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE];

/**
 * flanneld: runs until a signal, and leaves the data plane as it is. Exit 0 after SIGTERM or SIGINT, 1 where it cannot go
 * on, 2 for flags that it does not take.
 */
export async function runDaemon(args: readonly string[]): Promise<void> {
  if (args[0] === readKubeconfigCommand) {
    await tellKubeconfig(args[1], args[2]);
    return;
  }
  if (args[0] === checkSettingsCommand) {
    process.exitCode = tellSettings(args[1]);
    return;
  }
  const invocation = readInvocation(args);
  switch (invocation?.kind) {
    case "version":
      console.log(versionLine);
      return;
    case "help":
      console.log(await usageText());
      return;
    case "run":
      startSmall();
      process.exit(await runNode(invocation, openLog()));
      break;
    case undefined:
      process.exitCode = 2;
  }
}

/** The exit code: 2, and told, for what could not be followed. */
function tellSettings(path: string | undefined): number {
  try {
    checkSettings(path, process.env);
    return 0;
  } catch (error) {
    console.error(errorText(error));
    return 2;
  }
}

/** Why a kubeconfig cannot be read goes to standard error whole: it is all that the process which asked learns. */
async function tellKubeconfig(part: string | undefined, path: string | undefined): Promise<void> {
  // Not by the signal itself: a plugin that it waits for is to end as well.
  process.on("SIGTERM", () => process.exit(1));
  try {
    await writeKubeconfig(part, path);
  } catch (error) {
    console.error(errorText(error));
    process.exitCode = 1;
  }
}

/** Undefined, and told, when flags or environment cannot be followed. */
function readInvocation(args: readonly string[]): Invocation | undefined {
  try {
    return parseInvocation(args, process.env);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    console.error(`${error.message}\nflanneld --help lists the flags`);
    return undefined;
  }
}

/** Runs the parts until the end, whose exit code it returns. */
async function runNode({ options, notes }: RunInvocation, log: Log): Promise<number> {
  const end = Promise.withResolvers<NodeJS.Signals>();
  process.on("SIGTERM", end.resolve);
  process.on("SIGINT", end.resolve);
  try {
    using parts = new DisposableStack();
    const socket = parts.use(new NetlinkSocket());
    const source = parts.use(openSource(options, log));
    log.info(`${versionLine}: flanneld starts with leases from ${source.name}`);
    for (const note of notes) log.info(note);
    const netfilter = parts.use(new NetlinkSocket(NETLINK_NETFILTER));
    const traffic = new Traffic(netfilter, log);
    const node = new Node({ options, source, socket, traffic, log });
    const settling = parts.use(new Settling());
    const schedule = parts.use(
      new LookSchedule(async () => {
        settling.prepare(source.state());
        const next = await node.look();
        if (node.missing.length === 0) settling.begin();
        return next;
      }, end.reject),
    );
    // What was missing held back subnet.env, or is tried again with the rest.
    const pods = parts.use(new PodRules({ netfilter, route: socket, log, failed: end.reject }));
    const trafficWatch = parts.use(new TrafficWatch(traffic, pods, () => schedule.ask(), end.reject));
    if (options.health.port !== 0) {
      parts.use(
        serveHealth(options.health, {
          async missing(): Promise<readonly string[]> {
            await Promise.all([schedule.settled(), trafficWatch.settled(), pods.settled()]);
            return [...new Set([...node.missing, ...traffic.missing, ...pods.missing])];
          },
        }),
      );
    }
    parts.use(
      new NetlinkEvents(eventGroups, {
        filter: portFilter(socket.port),
        event: (event) => {
          if (concernsUs(event, node.sight)) schedule.ask();
        },
        lost: () => schedule.ask(),
      }),
    );
    // What a look itself has changed in the source it has seen. Before the first network there is nothing to collect.
    source.start(() => {
      if (source.state() !== node.seenState) schedule.ask({ atOnce: node.sight === undefined });
    });
    schedule.ask();
    const signal = await end.promise;
    log.info(`${signal}: flanneld ends, the network stays as it is`);
    return 0;
  } catch (error) {
    const wanted = failedWith(error, errno.EPERM) ? "; flanneld needs root, or at least CAP_NET_ADMIN" : "";
    log.error(`${errorText(error)}${wanted}`);
    return 1;
  }
}
