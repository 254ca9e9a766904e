import { expect, test } from "bun:test";
import { runCommand } from "../helpers/command.ts";
import { executablePath } from "../helpers/executable.ts";
import { createLoneNode } from "../helpers/node-pair.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["root", "executable", "link:vxlan", "link:veth"], "flanneld", () => {
  for (const { flags, env, words } of [
    { flags: [], words: /etcd.* is not built yet; give --kube-subnet-mgr or --lease-dir DIR/ },
    { flags: ["-kube-subnet-mgr"], words: /env variables POD_NAME and POD_NAMESPACE must be set/ },
    {
      flags: ["-etcd-endpoints=http://127.0.0.1:1"],
      words: /Cannot use --etcd-endpoints with value "http:..127.0.0.1:1": the lease source etcd is not built yet/,
    },
    { flags: ["-kube-subnet-mgr", "--lease-dir=/tmp"], words: /name two lease sources; give one/ },
    {
      flags: ["--lease-dir", "/tmp", "--frobnicate=1"],
      words: /Cannot use flag --frobnicate: there is none of that name/,
    },
    { flags: ["--lease-dir", "/tmp", "word"], words: /Cannot use argument "word": it is no flag/ },
    { flags: ["--lease-dir"], words: /Cannot use flag --lease-dir: its value is missing/ },
    {
      flags: [],
      env: { FLANNELD_KUBE_SUBNET_MGR: "true" },
      words: /env variables POD_NAME and POD_NAMESPACE must be set/,
    },
    {
      flags: [],
      env: { FLANNELD_ETCD_PREFIX: "/x" },
      words: /Cannot use FLANNELD_ETCD_PREFIX with value "\/x": the lease source etcd is not built yet/,
    },
    {
      flags: ["--lease-dir", "/tmp"],
      env: { FLANNELD_PUBLIC_IP: "many" },
      words: /Cannot use FLANNELD_PUBLIC_IP with value "many": it must be the IPv4 address of a node/,
    },
  ]) {
    test(`refuses ${[...flags, ...Object.keys(env ?? {})].join(" ") || "no flags"} with exit code 2`, async () => {
      const { stdout, stderr } = await runCommand([executablePath, "flanneld", ...flags], {
        exitCode: 2,
        env: env ?? {},
      });
      expect(stdout).toBe("");
      expect(stderr).toMatch(words);
    });
  }

  test("takes every flag of upstream's at its default", async () => {
    await using lone = await createLoneNode();
    await lone.node.startReady([
      "--etcd-endpoints=http://127.0.0.1:4001,http://127.0.0.1:2379",
      "--etcd-prefix=/coreos.com/network",
      "-ip-masq=false",
      "--kube-subnet-mgr=F",
      "--iptables-resync=5",
      "-iptables-forward-rules",
      "-v",
      "0",
      "--net-config-path=/etc/kube-flannel/net-conf.json",
      "--iface-regex=",
    ]);
    expect(await lone.node.overlay()).toHaveLength(2);
  });

  test("takes its flags from the environment too, where the command line does not say otherwise", async () => {
    await using lone = await createLoneNode();
    const { cluster } = lone;
    const { node } = lone;
    node.start(["--iface=eth0"], {
      FLANNELD_IFACE: "nowhere0",
      FLANNELD_PUBLIC_IP: "203.0.113.9",
      FLANNELD_SUBNET_FILE: "",
      FLANNELD_UNHEARD_OF: "1",
      FLANNELD_VERSION: "v0.28.9",
      FLANNELD_V: "x",
    });
    await node.logged(/subnet file/);
    expect((await cluster.listLeases()).map(({ publicIp }) => publicIp)).toEqual(["203.0.113.9"]);
    expect(node.log).toContain("external interface eth0");
    expect(node.log).toContain('FLANNELD_V with value "x" is not used: it must be a whole number');
  });

  test("prints version and commit, and begins its log with them", async () => {
    await using lone = await createLoneNode();
    const { stdout } = await runCommand([executablePath, "flanneld", "-version"]);
    expect(stdout).toMatch(/^tartan \d+\.\d+\.\d+ \(\S+\)\n$/);
    await lone.node.startReady();
    expect(lone.node.log.split("\n")[0]).toStartWith(`info  ${stdout.trim()}: flanneld starts`);
  });

  test("prints its flags for --help", async () => {
    const { stdout } = await runCommand([executablePath, "flanneld", "--help"]);
    expect(stdout).toContain("--lease-dir=");
    expect(stdout).not.toContain("--no-");
    expect(stdout).not.toContain("etcd-endpoints");
  });

  test("says which port is taken, exit code 1, and has changed nothing", async () => {
    await using lone = await createLoneNode();
    const { cluster } = lone;
    const { node } = lone;
    const script = `Bun.serve({ hostname: "127.0.0.1", port: 8082, fetch: () => new Response("") }); console.log("ready")`;
    await using taker = node.netns.start([process.execPath, "-e", script]);
    await taker.waitUntil("the port is taken", () => taker.stdout.includes("ready"));
    const flags = ["--lease-dir", cluster.leases, "--healthz-ip", "127.0.0.1", "--healthz-port", "8082"];
    const { stderr } = await node.run(flags, { exitCode: 1 });
    expect(stderr).toMatch(/^error Cannot serve health on 127\.0\.0\.1:8082: the port is taken/m);
    expect(await node.overlay()).toEqual([]);
    expect(await cluster.listLeases()).toEqual([]);
  });

  test("says that it needs root, exit code 1, and has changed nothing", async () => {
    await using lone = await createLoneNode();
    const { cluster, node } = lone;
    const flags = ["flanneld", "--lease-dir", cluster.leases, "--subnet-file", node.subnetFile];
    const without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", executablePath, ...flags];
    const { stderr } = await node.netns.run(without, { exitCode: 1 });
    expect(stderr).toMatch(/^error Cannot .*\(EPERM\); flanneld needs root, or at least CAP_NET_ADMIN$/m);
    expect(await node.overlay()).toEqual([]);
    expect(await cluster.listLeases()).toEqual([]);
  });

  for (const flag of ["--iface-regex=^192\\.168\\.", "--iface-regex=^eth[0-9]+$", "--iface-can-reach=192.168.1.254"]) {
    test(`finds its interface by ${flag}`, async () => {
      await using lone = await createLoneNode();
      const { node } = lone;
      await node.netns.ip("route", "delete", "default");
      await node.startReady([flag]);
      expect(node.log).toContain("external interface eth0 (#2): address 192.168.1.1,");
    });
  }

  test("waits for an interface that is not there yet", async () => {
    await using lone = await createLoneNode();
    const { node } = lone;
    node.start(["--iface", "nowhere0", "--iface=late0"]);
    await node.logged(
      /error Cannot choose the external interface: there is no interface "nowhere0"; there is no interface "late0"/,
    );
    await node.netns.ip("link", "add", "late0", "type", "veth", "peer", "name", "late1");
    await node.netns.ip("address", "add", "192.168.9.1/24", "dev", "late0");
    await node.netns.ip("link", "set", "late0", "up");
    await node.logged(/external interface late0 .*: address 192\.168\.9\.1, MTU 1500/, 1500);
    await node.daemon.waitUntil("the daemon is ready", async () => (await node.readiness()).status === 200);
  });
});
