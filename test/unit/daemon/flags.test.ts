import { expect, test } from "bun:test";
import { parseIp } from "../../../src/addr/ip.ts";
import { FlagError } from "../../../src/daemon/flag-syntax.ts";
import { flagTable } from "../../../src/daemon/flag-table.ts";
import { type DaemonOptions, parseInvocation, usageText } from "../../../src/daemon/flags.ts";

const defaults: DaemonOptions = {
  leaseDirectory: "/l",
  interfaces: [],
  publicIp: undefined,
  subnetFile: "/run/flannel/subnet.env",
  health: { ip: "0.0.0.0", port: 0 },
  traffic: { masquerade: false, fullyRandom: true, forward: true },
};

function options(words: readonly string[], env: Record<string, string> = {}): DaemonOptions {
  const invocation = parseInvocation(words, env);
  if (invocation.kind !== "run") throw new Error(`Cannot read options: it is to print ${invocation.kind}`);
  return invocation.options;
}

test.each<readonly [readonly string[], Partial<DaemonOptions>]>([
  [["--lease-dir", "/l"], {}],
  [["-lease-dir", "/l"], {}],
  [["-lease-dir=/l"], {}],
  [["--lease-dir=/a=b"], { leaseDirectory: "/a=b" }],
  [["--lease-dir=-x"], { leaseDirectory: "-x" }],
  [["--lease-dir", "--iface"], { leaseDirectory: "--iface" }],
  [["--lease-dir=/a", "--lease-dir=/l"], {}],
  [["--lease-dir=/l", "-iface", "eth0", "--iface=10.0.0.1"], { interfaces: ["eth0", "10.0.0.1"] }],
  [["--lease-dir=/l", "--public-ip", "1.2.3.4"], { publicIp: parseIp("1.2.3.4") }],
  [["--lease-dir=/l", "--subnet-file", "/s"], { subnetFile: "/s" }],
  [["--lease-dir=/l", "--healthz-ip=::1", "--healthz-port", "8081"], { health: { ip: "::1", port: 8081 } }],
  [["--lease-dir=/l", "--version=false", "--ip-masq=0", "-kube-subnet-mgr=False"], {}],
  [
    ["--lease-dir=/l", "--iptables-forward-rules=false", "-v", "0"],
    { traffic: { masquerade: false, fullyRandom: true, forward: false } },
  ],
  [
    ["--lease-dir=/l", "-ip-masq", "--ip-masq-fully-random-disable", "--iptables-resync=30"],
    { traffic: { masquerade: true, fullyRandom: false, forward: true } },
  ],
])("parseInvocation() takes %j", (words, expected) => {
  expect(options(words)).toEqual({ ...defaults, ...expected });
});

test("parseInvocation() takes from the environment what the command line does not give", () => {
  const env = {
    FLANNELD_LEASE_DIR: "/env",
    FLANNELD_IFACE: "eth7",
    FLANNELD_HEALTHZ_PORT: "8081",
    FLANNELD_SUBNET_FILE: "",
    FLANNELD_UNHEARD_OF: "x",
  };
  expect(options(["--lease-dir", "/l"], env)).toEqual({
    ...defaults,
    interfaces: ["eth7"],
    health: { ip: "0.0.0.0", port: 8081 },
  });
  expect(options([], env).leaseDirectory).toBe("/env");
});

test.each<readonly [readonly string[], Record<string, string>, string]>([
  [
    [],
    {},
    "Cannot start: no lease source is given, and etcd, which flannel takes then, is not built yet; give --lease-dir DIR",
  ],
  [["--nothing"], {}, "Cannot use flag --nothing: there is none of that name"],
  [["--constructor=1"], {}, "Cannot use flag --constructor: there is none of that name"],
  [["--leaseDir=/l"], {}, "Cannot use flag --leaseDir: there is none of that name"],
  [["--no-version"], {}, "Cannot use flag --no-version: there is none of that name"],
  [["word"], {}, 'Cannot use argument "word": it is no flag'],
  [["--"], {}, 'Cannot use argument "--": it is no flag'],
  [["--=x"], {}, 'Cannot use argument "--=x": it is no flag'],
  [["---version"], {}, 'Cannot use argument "---version": it is no flag'],
  [["--lease-dir"], {}, "Cannot use flag --lease-dir: its value is missing"],
  [["--lease-dir=/l", "--version=maybe"], {}, 'Cannot use --version with value "maybe": it must be true or false'],
  [["--lease-dir=/l", "--healthz-port=-1"], {}, 'Cannot use --healthz-port with value "-1": it must be a whole number'],
  [
    ["--lease-dir=/l", "--healthz-port=70000"],
    {},
    'Cannot use --healthz-port with value "70000": it must be a port, 0 to 65535',
  ],
  [["--lease-dir=/l", "--subnet-file="], {}, 'Cannot use --subnet-file with value "": it must be the path of a file'],
  [["--lease-dir=/l", "--healthz-ip=host"], {}, 'Cannot use --healthz-ip with value "host": it must be an IP address'],
  [
    ["--lease-dir=/l", "--public-ip=fd00::1"],
    {},
    'Cannot use --public-ip with value "fd00::1": it must be the IPv4 address of a node',
  ],
  [
    ["--lease-dir=/l", "--ip-blackhole-route"],
    {},
    'Cannot use --ip-blackhole-route with value "true": the blackhole route of the node\'s subnet is not built yet',
  ],
  [
    ["--kube-subnet-mgr"],
    {},
    'Cannot use --kube-subnet-mgr with value "true": the lease source Kubernetes is not built yet',
  ],
  [
    ["--etcd-endpoints=http://e"],
    {},
    'Cannot use --etcd-endpoints with value "http://e": the lease source etcd is not built yet',
  ],
  [["--etcd-password=secret"], {}, "Cannot use --etcd-password: the lease source etcd is not built yet"],
  [
    ["--iface-regex=eth.*"],
    {},
    'Cannot use --iface-regex with value "eth.*": this way to choose the interface is not built yet',
  ],
  [["--public-ipv6=fd00::1"], {}, 'Cannot use --public-ipv6 with value "fd00::1": IPv6 is not built yet'],
  [
    ["--lease-dir=/l"],
    { FLANNELD_KUBE_SUBNET_MGR: "true" },
    'Cannot use FLANNELD_KUBE_SUBNET_MGR with value "true": the lease source Kubernetes is not built yet',
  ],
  [
    ["--lease-dir=/l"],
    { FLANNELD_HEALTHZ_PORT: "x" },
    'Cannot use FLANNELD_HEALTHZ_PORT with value "x": it must be a whole number',
  ],
  [
    ["--lease-dir=/l"],
    { FLANNELD_PUBLIC_IP: "x" },
    'Cannot use FLANNELD_PUBLIC_IP with value "x": it must be the IPv4 address of a node',
  ],
])("parseInvocation() refuses %j %j", (words, env, message) => {
  expect(() => parseInvocation(words, env)).toThrow(new FlagError(message));
});

test("parseInvocation() takes every flag that is not built at its default, and refuses it otherwise", () => {
  for (const [name, { kind, default: initial, missing }] of Object.entries(flagTable)) {
    if (missing === undefined) continue;
    expect(options(["--lease-dir=/l", `--${name}=${initial}`])).toEqual(defaults);
    const other = { string: "other", list: "other", integer: "77", boolean: initial === "true" ? "false" : "true" }[
      kind
    ];
    expect(() => options(["--lease-dir=/l", `--${name}=${other}`])).toThrow(`--${name}`);
  }
});

test("parseInvocation() prints the version or the help whatever else is given", () => {
  expect(parseInvocation(["-version"], {})).toEqual({ kind: "version" });
  expect(parseInvocation(["--lease-dir=/l", "--version=t"], {})).toEqual({ kind: "version" });
  expect(parseInvocation(["--help"], {})).toEqual({ kind: "help" });
  expect(parseInvocation(["-h"], {})).toEqual({ kind: "help" });
  expect(parseInvocation(["--ip-masq", "-help"], {})).toEqual({ kind: "help" });
});

test("usageText() lists the flags that work, and only those", async () => {
  const text = await usageText();
  for (const [name, { missing }] of Object.entries(flagTable)) {
    expect({ name, listed: new RegExp(`--${name}[ =\n]`).test(text) }).toEqual({ name, listed: missing === undefined });
  }
  expect(text).not.toMatch(/ $|--no-/m);
});
