import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";

import { type BackgroundProcess, startProcess } from "../helpers/background.ts";
import { runCommand } from "../helpers/command.ts";
import { executablePath } from "../helpers/executable.ts";
import { isNamespace } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const demo = [executablePath, "demo"] as const;

/** The ID in the first line. */
function idOf(output: string): string {
  const id = /tartan demo ([\da-f]{6}) /.exec(output)?.[1];
  if (id === undefined) throw new Error(`Cannot find the ID of the demo: ${output.slice(0, 200)}`);
  return id;
}

/** Whatever of a demo is there, by the ID that everything of it carries. */
function leftoversOf(id: string): readonly string[] {
  const mark = `tartan-demo-${id}`;
  const namespaces = readdirSync("/run/netns").filter((name) => name.includes(mark));
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(mark));
  return [...namespaces, ...mounts, ...processesOf(mark), ...(existsSync(`/run/${mark}`) ? [`/run/${mark}`] : [])];
}

function processesOf(mark: string): readonly string[] {
  const commands = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => readOrEmpty(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim());
  return commands.filter((command) => command.includes(mark));
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** The blocks of a demo's output: the lines below each prompt, by the prompt (`node1# ip route show`). */
function blocksOf(output: string): ReadonlyMap<string, readonly string[]> {
  const blocks = new Map<string, string[]>();
  let lines: string[] | undefined;
  for (const line of output.split("\n").map((text) => text.slice(3))) {
    if (/^\w+# /.test(line)) blocks.set(line, (lines = []));
    else if (line === "") lines = undefined;
    else lines?.push(line);
  }
  return blocks;
}

/** The block whose prompt begins so. */
function block(output: string, prompt: string): readonly string[] {
  const found = [...blocksOf(output)].find(([name]) => name.startsWith(prompt));
  if (found === undefined) throw new Error(`Cannot find the block "${prompt}" in:\n${output}`);
  return found[1];
}

/** What a command prints in one of the demo's namespaces, or outside of them, without white space at the ends of lines. */
async function witness(argv: readonly string[], space?: string): Promise<readonly string[]> {
  const { stdout } = await runCommand(space === undefined ? argv : ["ip", "netns", "exec", space, ...argv]);
  const lines = stdout.split("\n").map((line) => line.trimEnd());
  return lines.filter((line) => line !== "");
}

/** Removes a demo, for a test that fails before it does so itself. */
async function remove(id: string): Promise<void> {
  await runCommand([...demo, "--remove", id], { exitCode: "any" });
}

/** Starts a demo, and waits until it has written so much. */
async function startUntil(text: string): Promise<BackgroundProcess> {
  const child = startProcess([...demo]);
  await child.waitUntil(`the demo has written "${text}"`, () => child.stdout.includes(text));
  return child;
}

const kernel = ["root", "executable", "link:veth", "link:bridge", "link:vxlan"] as const;

await describeWith(kernel, "tartan demo", () => {
  test("shows two nodes whose pods reach one another, and leaves nothing", async () => {
    const { stdout, stderr } = await runCommand([...demo]);
    expect(stderr).toBe("");
    // No colours where nobody would see them.
    expect(stdout).not.toContain("\u001b");
    const id = idOf(stdout);
    const subnetFile = block(stdout, `node1# cat /run/tartan-demo-${id}/node1/subnet.env`);
    expect(subnetFile).toHaveLength(4);
    expect(subnetFile[0]).toBe("FLANNEL_NETWORK=10.244.0.0/16");
    expect(subnetFile[1]).toMatch(/^FLANNEL_SUBNET=10\.244\.\d+\.1\/24$/);
    expect(subnetFile.slice(2)).toEqual(["FLANNEL_MTU=1450", "FLANNEL_IPMASQ=true"]);
    const tunnel = block(stdout, "node1# ip -d addr show dev flannel.1").join("\n");
    expect(tunnel).toContain(" mtu 1450 ");
    expect(tunnel).toContain("vxlan id 1 local 192.168.124.130 dev eth0 dstport 8472 nolearning");
    expect(block(stdout, "node1# ip -d link show master cni0").join("\n")).toContain("bridge_slave hairpin on");
    expect(block(stdout, "node1# CNI_COMMAND=ADD").join("\n")).toContain('"cniVersion": "1.0.0"');
    expect(stdout).toContain("\nEvery ping came back. All of it is removed again");
    expect(leftoversOf(id)).toEqual([]);
  });

  test("shows the pings: on one node with TTL 64, across nodes with TTL 62, there inside VXLAN", async () => {
    const { stdout } = await runCommand([...demo]);
    const pings = [...blocksOf(stdout)].filter(([prompt]) => prompt.startsWith("pod1# ping"));
    expect(pings).toHaveLength(2);
    expect(pings[0]?.[1].join("\n")).toContain("seq=0 ttl=64 time=");
    expect(pings[1]?.[1].join("\n")).toContain("seq=0 ttl=62 time=");
    const bridge = block(stdout, "node1# tcpdump -n -v -i cni0 icmp");
    expect(bridge).toHaveLength(4);
    const onTunnel = block(stdout, "node1# tcpdump -n -v -i flannel.1 icmp");
    expect(onTunnel).toHaveLength(4);
    for (const line of [onTunnel[0], onTunnel[2]]) expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{6} IP .* ttl 63, .* ICMP/);
    const onWire = block(stdout, "node1# tcpdump -n -v -T vxlan -i eth0 udp port 8472");
    expect(onWire).toHaveLength(8);
    expect(onWire[1]).toMatch(
      /192\.168\.124\.130\.\d+ > 192\.168\.124\.220\.8472: VXLAN, flags \[I\] \(0x08\), vni 1$/,
    );
    expect(onWire[5]).toMatch(
      /192\.168\.124\.220\.\d+ > 192\.168\.124\.130\.8472: VXLAN, flags \[I\] \(0x08\), vni 1$/,
    );
    // What is inside is the packet of the tunnel device.
    expect([onWire[3], onWire[7]]).toEqual([onTunnel[1], onTunnel[3]]);
    const table = stdout
      .split("\n")
      .filter((line) => /^ {3}pod\d .*(?:-|64|62|lost)/.test(line))
      .slice(-4);
    expect(table.map((line) => line.trim().split(/\s+/))).toEqual([
      ["pod1", "-", "64", "62", "62"],
      ["pod2", "64", "-", "62", "62"],
      ["pod3", "62", "62", "-", "64"],
      ["pod4", "62", "62", "64", "-"],
    ]);
  });

  test("two run side by side", async () => {
    const both = await Promise.all([runCommand([...demo]), runCommand([...demo])]);
    const ids = both.map(({ stdout }) => idOf(stdout));
    expect(ids[0]).not.toBe(ids[1] ?? "");
    for (const id of ids) expect(leftoversOf(id)).toEqual([]);
  });

  test("--keep leaves up what iproute2 shows as the demo did, and --remove removes it", async () => {
    const { stdout } = await runCommand([...demo, "--keep"]);
    const id = idOf(stdout);
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => remove(id));
    const node = `tartan-demo-${id}-node1`;
    const commands = ["ip -4 neigh show dev flannel.1", "bridge fdb show dev flannel.1"];
    for (const command of commands) {
      expect(block(stdout, `node1# ${command}`)).toEqual(await witness(command.split(" "), node));
    }
    expect(block(stdout, "pod1# ip route show")).toEqual(
      await witness(["ip", "route", "show"], `tartan-demo-${id}-pod1`),
    );
    // The pods have brought the route of their bridge meanwhile.
    const routes = await witness(["ip", "route", "show"], node);
    expect(routes.filter((line) => !line.includes("cni0"))).toEqual([...block(stdout, "node1# ip route show")]);
    const files = [...blocksOf(stdout)].filter(([prompt]) => prompt.startsWith("node1# cat "));
    expect(files.length).toBeGreaterThanOrEqual(5);
    for (const [prompt, lines] of files) expect(lines).toEqual(await witness(prompt.split(" ").slice(1)));
    const ping = stdout.split("\n").find((line) => line.includes("-pod1 ping 10.244."));
    await runCommand([...(ping?.trim().split(" ") ?? []), "-c", "1", "-W", "1"]);
    const removal = stdout.split("\n").find((line) => line.includes("--remove"));
    const removed = await runCommand(removal?.trim().split(" ") ?? []);
    expect(removed.stdout).toBe(`Demo ${id} is removed.\n`);
    expect(leftoversOf(id)).toEqual([]);
  });

  test("the daemons of a kept one go on without it", async () => {
    const { stdout } = await runCommand([...demo, "--keep"]);
    const id = idOf(stdout);
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => remove(id));
    const netns = `tartan-demo-${id}-node1`;
    const routeToPeer = /^10\.244\.\S+/m.exec(block(stdout, "node1# ip route show").join("\n"))?.[0] ?? "";
    await runCommand(["ip", "-n", netns, "route", "delete", routeToPeer]);
    const deadline = Date.now() + 3000;
    while (!(await witness(["ip", "route", "show"], netns)).some((line) => line.startsWith(`${routeToPeer} `))) {
      if (Date.now() > deadline) throw new Error(`Cannot find route ${routeToPeer}: the daemon did not put it back`);
      await Bun.sleep(20);
    }
  });

  test.each([
    ["SIGINT", 130, "2  The leases"],
    ["SIGTERM", 143, "1  The nodes"],
    ["SIGHUP", 129, "3  flannel.1"],
  ] as const)("%s ends it with exit code %i and removes all", async (signal, exitCode, text) => {
    await using child = await startUntil(text);
    child.signal(signal);
    expect(await child.ended).toBe(exitCode);
    expect(leftoversOf(idOf(child.stdout))).toEqual([]);
  });

  test("removes all when the reader of its output goes away", async () => {
    // Neither stream has a reader any more, so that it cannot even say so.
    const { stdout } = await runCommand(["sh", "-c", '"$0" demo 2>&1 | head -n 5', executablePath]);
    const id = idOf(stdout);
    const deadline = Date.now() + 5000;
    while (leftoversOf(id).length > 0 && Date.now() < deadline) await Bun.sleep(20);
    expect(leftoversOf(id)).toEqual([]);
  });

  test("--remove removes what a killed one left", async () => {
    await using child = await startUntil("2  The leases");
    child.signal("SIGKILL");
    await child.ended;
    const id = idOf(child.stdout);
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => remove(id));
    expect(leftoversOf(id)).not.toEqual([]);
    await runCommand([...demo, "--remove", id]);
    expect(leftoversOf(id)).toEqual([]);
  });

  test("needs no program beside it, and no environment", async () => {
    const { stdout } = await runCommand(["env", "-i", "PATH=", ...demo]);
    expect(leftoversOf(idOf(stdout))).toEqual([]);
  });

  test("a ping that does not come back is shown, and makes the exit code 1", async () => {
    await using child = await startUntil("1  The nodes");
    const id = idOf(child.stdout);
    const pod = `tartan-demo-${id}-pod3`;
    await child.waitUntil("pod3 is there", () => isNamespace(`/run/netns/${pod}`));
    // It would go on to the pings meanwhile.
    child.signal("SIGSTOP");
    try {
      const silence = "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all";
      await runCommand(["ip", "netns", "exec", pod, "sh", "-c", silence]);
    } finally {
      child.signal("SIGCONT");
    }
    expect(await child.ended).toBe(1);
    expect(child.stdout).toContain("1 packets transmitted, 0 packets received, 100% packet loss");
    expect(child.stdout).toContain("lost");
    expect(child.stdout).toContain("Not every ping came back.");
    expect(leftoversOf(id)).toEqual([]);
  });
});

await describeWith([...kernel, "tool:script"], "tartan demo on a terminal", () => {
  test("has colours, unless NO_COLOR asks for none", async () => {
    const argv = ["script", "--quiet", "--return", "--command", `${executablePath} demo`, "/dev/null"];
    const coloured = await runCommand(argv, { env: { TERM: "xterm", NO_COLOR: "" } });
    expect(coloured.stdout).toContain("\u001b[1m1  The nodes\u001b[0m");
    expect(leftoversOf(idOf(coloured.stdout))).toEqual([]);
    const plain = await runCommand(argv, { env: { TERM: "xterm", NO_COLOR: "1" } });
    expect(plain.stdout).not.toContain("\u001b");
  });
});

await describeWith(["root", "executable", "tool:unshare"], "tartan demo without what it needs", () => {
  test("says that only root may run it", async () => {
    // In a user namespace without a mapping nobody is root, and the executable can still be read.
    const { stdout, stderr } = await runCommand(["unshare", "--user", ...demo], { exitCode: 1 });
    expect(stdout).toBe("");
    expect(stderr).toBe("tartan demo: Cannot run the demo: it makes network namespaces, which only root may do\n");
  });

  test("says what a root without privileges lacks, and leaves nothing", async () => {
    const { stdout, stderr } = await runCommand(["unshare", "--user", "--map-root-user", ...demo], { exitCode: 1 });
    expect(stderr).toStartWith("tartan demo: Cannot make network namespace ");
    expect(stderr).toContain("CAP_SYS_ADMIN");
    expect(leftoversOf(idOf(stdout))).toEqual([]);
  });

  test("--remove names an ID that does not exist", async () => {
    const { stderr } = await runCommand([...demo, "--remove", "000000"], { exitCode: 1 });
    expect(stderr).toStartWith('tartan demo: Cannot remove demo "000000": it does not exist; there ');
  });
});
