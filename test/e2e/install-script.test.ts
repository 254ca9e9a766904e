import { afterAll, beforeAll, expect, test } from "bun:test";

import { runCommand } from "../helpers/command.ts";
import { repositoryRoot } from "../helpers/executable.ts";
import { writeOtherRelease } from "../helpers/install-place.ts";
import { readConfigMap } from "../helpers/manifest.ts";
import { describeWith } from "../helpers/require.ts";
import { startMachine, type SystemdMachine } from "../helpers/systemd-machine.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../helpers/temp.ts";

const script = "/tartan/install.sh";
const settings = ["--iface=eth0", "--network=10.99.0.0/16"];

let machine: SystemdMachine;
let directory: TemporaryDirectory;
let untouched: readonly string[];

function runScript(words: readonly string[], exitCode = 0): ReturnType<SystemdMachine["run"]> {
  return machine.run(["sh", script, ...words], { exitCode, timeoutMs: 60_000 });
}

/** Every file and link where an installation writes, with what changes when it is written. */
async function files(): Promise<readonly string[]> {
  const places = "/etc /opt /usr/local /var/lib/tartan /var/lib/cni /run/flannel";
  const { stdout } = await machine.shell(`find ${places} ! -type d -printf '%p %i %T@ %l\\n' 2>/dev/null; true`);
  return stdout
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("/etc/machine-id"))
    .toSorted();
}

/** The settings below the line that says who wrote them. */
async function settingLines(): Promise<readonly string[]> {
  const { stdout } = await machine.run(["cat", "/etc/tartan/flanneld.env"]);
  return stdout.trimEnd().split("\n").slice(1);
}

async function mainPid(): Promise<string> {
  const { stdout } = await machine.run(["systemctl", "show", "--property=MainPID", "--value", "flanneld"]);
  return stdout.trim();
}

async function subnet(): Promise<string> {
  const wait = "for try in $(seq 100); do [ -e /run/flannel/subnet.env ] && break; sleep 0.1; done";
  const { stdout } = await machine.shell(`${wait}; grep FLANNEL_SUBNET /run/flannel/subnet.env`);
  return stdout.trim();
}

const requirements = ["root", "executable", "tool:systemd-nspawn", "debian-root", "link:vxlan", "link:veth"] as const;
await describeWith(requirements, "install.sh", () => {
  beforeAll(async () => {
    directory = await createTemporaryDirectory();
    await writeOtherRelease(directory.join("tartan"));
    machine = await startMachine({ "/tartan": repositoryRoot, "/other": directory.path });
    await machine.ip("link", "add", "eth0", "type", "veth", "peer", "name", "wire");
    for (const device of ["eth0", "wire"]) await machine.ip("link", "set", device, "up");
    await machine.ip("address", "add", "192.168.1.5/24", "dev", "eth0");
    untouched = await files();
  });

  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  test("refuses what cannot be, before it changes anything", async () => {
    for (const [words, exitCode, wanted] of [
      [["--frobnicate"], 2, 'unknown option "--frobnicate"'],
      [["--iface"], 2, 'option "--iface" needs a value'],
      [["--iface=eth0 --ip-masq"], 2, "unusual characters"],
      [["--lease-dir=/a", "--kubeconfig=/b"], 2, "exclude each other"],
      [["--purge"], 2, 'goes with "--uninstall" only'],
      [["--executable=/nowhere"], 1, "there is no file /nowhere"],
      [["--executable=/bin/false"], 1, "/bin/false does not run here"],
      [["--conflist=/nowhere"], 1, "there is no file /nowhere"],
      [["--conflist=/etc/hostname"], 1, "Cannot install the configuration list /etc/hostname"],
      [["--network=banana"], 1, "Cannot use this network configuration: "],
      [["--public-ip=nonsense"], 1, 'value "nonsense": it must be the IPv4 address of a node'],
      [["--healthz-port=abc"], 1, 'FLANNELD_HEALTHZ_PORT with value "abc"'],
      [["--iface=no/such"], 1, 'Cannot use --iface with value "no/such"'],
      [["--kubeconfig=/nowhere"], 1, "there is no file /nowhere"],
      [["--kubeconfig=k.conf"], 1, 'FLANNELD_KUBECONFIG_FILE is "k.conf", wanted a path that begins with /'],
      [["--kubeconfig=/tmp/k.conf"], 1, "the service has a /tmp and a /var/tmp of its own"],
      [["--node-name=n1"], 1, "--node-name goes with --kubeconfig"],
    ] as const) {
      const { stderr } = await runScript(words, exitCode);
      expect(stderr).toContain(wanted);
      expect(await files()).toEqual(untouched);
    }
    expect((await runScript(["--help"])).stdout).toStartWith("Usage: install.sh");
  });

  test.each([
    [
      "a program of somebody else with the daemon's name",
      "echo theirs > /usr/local/sbin/flanneld",
      [],
      "/usr/local/sbin/flanneld is there and not ours",
      "rm /usr/local/sbin/flanneld",
    ],
    [
      "a file where the configurations' directory should be",
      "mkdir -p /etc/cni && touch /etc/cni/net.d",
      [],
      "/etc/cni/net.d is no directory",
      "rm -r /etc/cni",
    ],
    [
      "a kubeconfig that root may only read as the owner of all files",
      "echo secret > /etc/k.conf && chmod 0600 /etc/k.conf && chown 65534 /etc/k.conf",
      ["--kubeconfig=/etc/k.conf"],
      "the service cannot read /etc/k.conf",
      "rm /etc/k.conf",
    ],
  ])("refuses %s, before it changes anything", async (_claim, prepare, words, wanted, clean) => {
    await machine.shell(prepare);
    const before = await files();
    const { stderr } = await runScript(words, 1);
    expect(stderr).toContain(wanted);
    expect(await files()).toEqual(before);
    await machine.shell(clean);
    expect(await files()).toEqual(untouched);
  });

  test("installs the daemon as a confined service, and what the plugins need", async () => {
    await runScript(settings);
    expect(await subnet()).toMatch(/^FLANNEL_SUBNET=10\.99\.\d+\.1\/24$/);
    expect((await machine.ip("-brief", "link", "show", "flannel.1")).stdout).toStartWith("flannel.1");
    const status = await machine.shell('cat "/proc/$1/status" "/proc/$1/cmdline"', [await mainPid()]);
    // CAP_NET_ADMIN is number 12.
    for (const pattern of [
      /^CapEff:\t0000000000001000$/m,
      /^Seccomp:\t2$/m,
      /^NoNewPrivs:\t1$/m,
      /\/usr\/local\/sbin\/flanneld/,
    ]) {
      expect(status.stdout).toMatch(pattern);
    }
    // nf_tables within those limits.
    expect((await machine.run(["cat", "/run/flannel/subnet.env"])).stdout).toContain("FLANNEL_IPMASQ=true\n");
    const conflist = await machine.run(["cat", "/etc/cni/net.d/10-flannel.conflist"]);
    expect(conflist.stdout).toBe(await readConfigMap("cni-conf.json"));
    const plugins = await machine.shell("cd /opt/cni/bin && ls && readlink bridge");
    expect(plugins.stdout).toBe("bridge\nflannel\nhost-local\nloopback\nportmap\ntartan\ntartan\n");
    expect((await machine.run(["tartan", "version"])).stdout).toStartWith("tartan ");
  });

  test("writes a unit in which systemd finds no fault", async () => {
    const verified = await machine.run(["systemd-analyze", "verify", "/etc/systemd/system/flanneld.service"]);
    expect(verified.stdout + verified.stderr).toBe("");
    await machine.run(["systemd-analyze", "security", "--threshold=30", "--no-pager", "flanneld.service"]);
  });

  test("repeated, changes nothing and leaves the daemon alone", async () => {
    const before = [await mainPid(), ...(await files())];
    await runScript([]);
    expect([await mainPid(), ...(await files())]).toEqual(before);
  });

  test("upgrades in place: the daemon runs the other executable and has its subnet still", async () => {
    const pid = await mainPid();
    const before = await subnet();
    await runScript(["--executable=/other/tartan"]);
    expect(await mainPid()).not.toBe(pid);
    await machine.shell('cmp /other/tartan "/proc/$1/exe" && cmp /other/tartan /opt/cni/bin/flannel', [
      await mainPid(),
    ]);
    expect(await subnet()).toBe(before);
    expect((await machine.run(["cat", "/etc/tartan/flanneld.env"])).stdout).toContain("FLANNELD_IFACE=eth0\n");
  });

  test("takes other settings when it is told, and keeps the network that is there", async () => {
    const { stdout } = await runScript([
      "--healthz-port=9000",
      "--iface=eth0",
      "--no-ip-masq",
      "--network=10.1.0.0/16",
    ]);
    expect(stdout).toContain("/var/lib/tartan/leases/config is there already and stays as it is");
    expect((await machine.run(["cat", "/etc/tartan/flanneld.env"])).stdout).toContain("FLANNELD_HEALTHZ_PORT=9000\n");
    expect(await subnet()).toContain("=10.99.");
    const listening = await machine.shell(
      "for try in $(seq 50); do grep -q ':2328 ' /proc/net/tcp && exit; sleep 0.1; done; exit 1",
    );
    expect(listening.exitCode).toBe(0);
  });

  test("--uninstall leaves nothing but the leases, and with --purge nothing at all", async () => {
    await runScript(["--uninstall"]);
    const left = (await files()).filter((line) => !untouched.includes(line));
    expect(left.map((line) => line.split(" ")[0]).join("\n")).toMatch(
      /^\/var\/lib\/tartan\/leases\/config\n\/var\/lib\/tartan\/leases\/subnets\/10\.99\.\d+\.0-24$/,
    );
    const { stdout } = await machine.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "flanneld*"]);
    expect(stdout).toBe("");
    await runScript(["--uninstall", "--purge"]);
    expect(await files()).toEqual(untouched);
  });

  test("for Kubernetes writes the settings of that source", async () => {
    await machine.shell("mkdir -p /etc/kubernetes && echo '{}' > /etc/kubernetes/kubelet.conf");
    await runScript(["--kubeconfig=/etc/kubernetes/kubelet.conf", "--node-name=node1", "--no-start"]);
    expect(await settingLines()).toEqual([
      "FLANNELD_KUBE_SUBNET_MGR=true",
      "FLANNELD_KUBECONFIG_FILE=/etc/kubernetes/kubelet.conf",
      "FLANNELD_NET_CONFIG_PATH=/etc/tartan/net-conf.json",
      "NODE_NAME=node1",
      "FLANNELD_IP_MASQ=true",
      "FLANNELD_HEALTHZ_IP=127.0.0.1",
      "FLANNELD_HEALTHZ_PORT=8081",
    ]);
    expect((await machine.run(["cat", "/etc/tartan/net-conf.json"])).stdout).toContain('"Network": "10.244.0.0/16"');
    await runScript(["--uninstall", "--purge"]);
    await machine.run(["hostname", "Node-7"]);
    await runScript(["--kubeconfig=/etc/kubernetes/kubelet.conf", "--no-start"]);
    expect(await settingLines()).toContain("NODE_NAME=node-7");
    await runScript(["--uninstall", "--purge"]);
  });

  test("changes of the settings what an option says, and keeps all others", async () => {
    await runScript(["--kubeconfig=/etc/kubernetes/kubelet.conf", "--node-name=n1", "--no-start"]);
    const written = await settingLines();
    // By hand, the last line without an end.
    await machine.shell(
      "printf '# ours\\nFLANNELD_IPTABLES_FORWARD_RULES=false\\nFLANNELD_SUBNET_FILE=\"/run/flannel/subnet.env\"' >> /etc/tartan/flanneld.env",
    );
    const byHand = [
      "# ours",
      "FLANNELD_IPTABLES_FORWARD_RULES=false",
      'FLANNELD_SUBNET_FILE="/run/flannel/subnet.env"',
    ];
    await runScript(["--iface=eth0", "--no-start"]);
    expect(await settingLines()).toEqual([...written, ...byHand, "FLANNELD_IFACE=eth0"]);
    await runScript(["--iface=192.168.1.5", "--no-ip-masq", "--no-start"]);
    const changed = written.map((line) => line.replace("MASQ=true", "MASQ=false"));
    expect(await settingLines()).toEqual([...changed, ...byHand, "FLANNELD_IFACE=192.168.1.5"]);
    await runScript(["--lease-dir=/var/lib/tartan/leases", "--ip-masq", "--no-start"]);
    expect(await settingLines()).toEqual([
      "FLANNELD_IP_MASQ=true",
      "FLANNELD_HEALTHZ_IP=127.0.0.1",
      "FLANNELD_HEALTHZ_PORT=8081",
      ...byHand,
      "FLANNELD_IFACE=192.168.1.5",
      "FLANNELD_LEASE_DIR=/var/lib/tartan/leases",
    ]);
    await runScript(["--kubeconfig=/etc/kubernetes/kubelet.conf", "--no-start"]);
    const back = await settingLines();
    expect(back).not.toContain("FLANNELD_LEASE_DIR=/var/lib/tartan/leases");
    for (const line of [...byHand, "FLANNELD_KUBE_SUBNET_MGR=true", "NODE_NAME=node-7"]) expect(back).toContain(line);
    await machine.shell("echo FLANNELD_PUBLIC_IP=nonsense >> /etc/tartan/flanneld.env");
    const { stderr } = await runScript(["--no-start"], 1);
    expect(stderr).toContain("the daemon would not start with these settings");
    await runScript(["--uninstall", "--purge"]);
  });

  test("runs under dash, which takes nothing but what POSIX has", async () => {
    expect((await machine.run(["readlink", "/bin/sh"])).stdout).toBe("dash\n");
    await runCommand(["dash", "-n", `${repositoryRoot}/install.sh`]);
  });
});
