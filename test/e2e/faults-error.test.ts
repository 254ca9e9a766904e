import { expect, test } from "bun:test";

import { createFaultHost } from "../faults/host.ts";
import type { FaultHost } from "../faults/host.ts";
import { everything, faultTimeoutMs, report, runLanes } from "../faults/lanes.ts";
import {
  cases,
  listPoints,
  prepare,
  problemsOfAnswer,
  problemsOfDelete,
  problemsOfNextPod,
  runWithFault,
  sampleOf,
  untilMet,
  verbOf,
} from "../faults/runs.ts";
import type { Situation } from "../faults/runs.ts";
import { type FaultNetwork, dualNetwork, fusedNetwork, stockNetwork } from "../faults/networks.ts";
import { describePoint } from "../faults/strace.ts";
import type { CallPoint, Fault } from "../faults/strace.ts";
import { describeWith } from "../helpers/require.ts";

/**
 * The calls on files. Not among them is `close`: the kernel releases the descriptor whatever it answers (close(2)), which
 * strace, that does not run the call, cannot show.
 */
const fileCalls = new Set(
  "open openat read pread64 write rename link unlink mkdir chmod fchmod utimensat flock getdents64 fstat newfstatat fstatfs lseek getcwd".split(
    " ",
  ),
);

/** The calls on sockets and namespaces. An error of recvfrom is an answer lost: the kernel has done what it was asked. */
const netlinkCalls = new Set("socket setsockopt bind sendto recvfrom setns".split(" "));

/** The runtime's own, for memory and threads: they are about no file, and no request of ours. */
const otherCalls = new Set(
  "close futex mmap munmap mprotect madvise brk clone3 rt_sigaction rt_sigprocmask sched_getaffinity sched_yield getpid gettid exit exit_group".split(
    " ",
  ),
);

/** Of the calls in other networks than the first every so many-th, unless everything is asked for. */
const otherStep = 5;

/** Some of what a pod of each network has. */
const wanted: readonly (readonly [FaultNetwork, readonly string[]])[] = [
  [
    fusedNetwork,
    [
      "pod: link eth0 mtu 1450 up master -",
      "pod: address POD4/24 dev eth0",
      "pod: route default via 10.244.1.1 dev eth0",
      "pod: route 10.244.0.0/16 via 10.244.1.1 dev eth0",
      "host: link VETH mtu 1450 up master cni0 hairpin",
      "host: address 10.244.1.1/24 dev cni0",
      "net/ipv4/ip_forward 1",
    ],
  ],
  [
    dualNetwork,
    [
      "pod: address POD6/64 dev eth0",
      "pod: route default via fd00:10:244:1::1 dev eth0",
      "pod: route fd00:10:244::/48 via fd00:10:244:1::1 dev eth0",
      "host: address fd00:10:244:1::1/64 dev cni0",
      "net/ipv6/conf/all/forwarding 1",
    ],
  ],
  [stockNetwork, ["pod: address POD4/24 dev eth0", "net/ipv4/conf/cni0/route_localnet 1"]],
];

interface ErrorPoint {
  readonly point: CallPoint;
  readonly fault: Fault;
}

await describeWith(
  ["root", "executable", "tool:strace", "tool:nft", "link:veth", "link:bridge"],
  "a call that fails",
  () => {
    test("what an ADD without faults makes is all that is asked for, so that others can be compared with it", async () => {
      for (const [network, lines] of wanted) {
        await using host = await createFaultHost(network);
        const whole = await host.learnWholePod();
        expect(lines.filter((line) => !whole.includes(line))).toEqual([]);
      }
    });

    for (const [network, situation] of cases) {
      test(
        `${network.name}, ${situation}, ENOSPC, EIO or EROFS at a file: a CNI error with nothing left, or no harm`,
        () => expectNoHarm(network, situation, fileCalls, ["ENOSPC", "EIO", "EROFS"]),
        faultTimeoutMs,
      );

      test(
        `${network.name}, ${situation}, a netlink request refused or its answer lost: a CNI error with nothing left, or no harm`,
        () => expectNoHarm(network, situation, netlinkCalls, ["EPERM", "ENOBUFS"]),
        faultTimeoutMs,
      );
    }
  },
);

async function expectNoHarm(
  network: FaultNetwork,
  situation: Situation,
  calls: ReadonlySet<string>,
  faults: readonly Fault[],
): Promise<void> {
  const points = await choosePoints(network, situation, calls);
  const all = points.flatMap((point, index) => {
    const chosen = everything ? faults : faults.filter((_fault, at) => at === index % faults.length);
    return chosen.map((fault) => ({ point, fault }));
  });
  let runs = 0;
  let refused = 0;
  const failures = await runLanes(network, all, async (host, item) => {
    const problems = await untilMet(item.point, async () => {
      const run = await failAt(host, situation, item);
      runs++;
      if (run.met && run.exitCode !== 0) refused++;
      return run;
    });
    return problems.map((problem) => `${situation}, ${item.fault} at ${describePoint(item.point)}: ${problem}`);
  });
  const name = `${network.name}, ${situation}`;
  report(`${name}: ${all.length} errors, ${runs} runs, ${refused} made it fail, ${failures.length} failures`);
  expect(failures).toEqual([]);
  expect(refused).toBeGreaterThan(0);
}

/** Those of our own code; before it, where nothing has been done yet, when everything is asked for. */
async function choosePoints(
  network: FaultNetwork,
  situation: Situation,
  calls: ReadonlySet<string>,
): Promise<readonly CallPoint[]> {
  await using host = await createFaultHost(network);
  const points = await listPoints(host, situation);
  // A call that our code makes from now on is to find its place in one of the lists.
  const known = [fileCalls, netlinkCalls, otherCalls];
  const own = points.filter((point) => point.own).map(({ call }) => call);
  expect(own.filter((call) => !known.some((list) => list.has(call)))).toEqual([]);
  const chosen = points.filter((point) => calls.has(point.call) && (point.own || everything));
  return sampleOf(network, chosen, otherStep);
}

async function failAt(
  host: FaultHost,
  situation: Situation,
  item: ErrorPoint,
): Promise<{ readonly problems: readonly string[]; readonly exitCode: number; readonly met: boolean }> {
  await prepare(host, situation);
  const outcome = await runWithFault(host, situation, item);
  const verb = verbOf(situation);
  const problems: string[] = [];
  if (!mayBeSilent(item.point) || outcome.exitCode === 0) problems.push(...problemsOfAnswer(verb, outcome));
  if (verb === "ADD" && outcome.exitCode === 0) problems.push(...(await host.problemsOfPod(outcome.stdout)));
  if ((verb === "ADD") === (outcome.exitCode !== 0)) {
    const strays = verb === "ADD" ? await host.ownStrays() : await host.strays();
    problems.push(...strays.map((line) => `left by itself: ${line}`));
  }
  problems.push(...(await problemsOfDelete(host)), ...(await problemsOfNextPod(host)));
  // What is left is one point's fault, and not the next one's.
  if (problems.length > 0) await host.reset();
  return { problems, exitCode: outcome.exitCode, met: outcome.met };
}

/** In the loader, in Bun's own start and in the writing of the answer there is nobody to say what went wrong. */
function mayBeSilent({ own, call, text }: CallPoint): boolean {
  return !own || (call === "write" && text.startsWith("1, "));
}
