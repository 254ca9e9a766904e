import { expect, test } from "bun:test";
import { parseIp } from "../../../src/addr/ip.ts";
import { FlagError } from "../../../src/daemon/flag-syntax.ts";
import { flagTable } from "../../../src/daemon/flag-table.ts";
import { compileGoRegexp } from "../../../src/daemon/go-regexp.ts";
import type { InterfacePattern } from "../../../src/daemon/interface.ts";
import { type DaemonOptions, parseInvocation, usageText } from "../../../src/daemon/flags.ts";

const defaults: DaemonOptions = {
  source: { kind: "directory", directory: "/l" },
  interfaces: [],
  interfacePatterns: [],
  reach: undefined,
  stateDirectory: "/var/lib/tartan",
  publicIp: undefined,
  subnetFile: "/run/flannel/subnet.env",
  health: { ip: "0.0.0.0", port: 0 },
  traffic: { masquerade: false, fullyRandom: true, forward: true },
};

function patternOf(text: string): InterfacePattern {
  return { text, regexp: compileGoRegexp(text) };
}

function options(words: readonly string[], env: Record<string, string> = {}): DaemonOptions {
  const invocation = parseInvocation(words, env);
  if (invocation.kind !== "run") throw new Error(`Cannot read options: it is to print ${invocation.kind}`);
  return invocation.options;
}

test.each<readonly [readonly string[], Partial<DaemonOptions>]>([
  [["--lease-dir", "/l"], {}],
  [["-lease-dir", "/l"], {}],
  [["-lease-dir=/l"], {}],
  [["--lease-dir=/a=b"], { source: { kind: "directory", directory: "/a=b" } }],
  [["--lease-dir=-x"], { source: { kind: "directory", directory: "-x" } }],
  [["--lease-dir", "--iface"], { source: { kind: "directory", directory: "--iface" } }],
  [["--lease-dir=/a", "--lease-dir=/l"], {}],
  [["--lease-dir=/l", "-iface", "eth0", "--iface=10.0.0.1"], { interfaces: ["eth0", "10.0.0.1"] }],
  [["--lease-dir=/l", "--public-ip", "1.2.3.4"], { publicIp: parseIp("1.2.3.4") }],
  [["--lease-dir=/l", "--subnet-file", "/s"], { subnetFile: "/s" }],
  [["--lease-dir=/l", "--healthz-ip=::1", "--healthz-port", "8081"], { health: { ip: "::1", port: 8081 } }],
  // As strconv.ParseInt(s, 0, 64) reads numbers.
  [["--lease-dir=/l", "--healthz-port=0x1F91"], { health: { ip: "0.0.0.0", port: 8081 } }],
  [["--lease-dir=/l", "--healthz-port=010"], { health: { ip: "0.0.0.0", port: 8 } }],
  [["--lease-dir=/l", "--healthz-port=0o17"], { health: { ip: "0.0.0.0", port: 15 } }],
  [["--lease-dir=/l", "--healthz-port=+0b1_01"], { health: { ip: "0.0.0.0", port: 5 } }],
  [["--lease-dir=/l", "--healthz-port=8_081"], { health: { ip: "0.0.0.0", port: 8081 } }],
  [["--lease-dir=/l", "--healthz-port=-1"], {}],
  [["--lease-dir=/l", "--v=-1", "--iptables-resync=-0x1", "--etcd-endpoints="], {}],
  [["--lease-dir=/l", "--version=false", "--ip-masq=0", "-kube-subnet-mgr=False"], {}],
  [
    ["--lease-dir=/l", "--iface-regex=^eth", "-iface-regex", "(?i)^ENS[0-9]", "--iface-can-reach=10.0.0.1"],
    { interfacePatterns: ["^eth", "(?i)^ENS[0-9]"].map(patternOf), reach: parseIp("10.0.0.1") },
  ],
  [["--lease-dir=/l", "--iface-regex=", "--iface="], {}],
  [["--lease-dir=/l", "--state-dir=/s"], { stateDirectory: "/s" }],
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
  expect(options([], env).source).toEqual({ kind: "directory", directory: "/env" });
});

test.each<readonly [readonly string[], Record<string, string>, string]>([
  [
    [],
    {},
    "Cannot start: no lease source is given, and etcd, which flannel takes then, is not built yet; give --kube-subnet-mgr or --lease-dir DIR",
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
  [["--lease-dir=/l", "--healthz-port=08"], {}, 'Cannot use --healthz-port with value "08": it must be a whole number'],
  [
    ["--lease-dir=/l", "--healthz-port=9223372036854775808"],
    {},
    'Cannot use --healthz-port with value "9223372036854775808": it must be a whole number',
  ],
  [["--lease-dir=/l", "-v=0x10"], {}, 'Cannot use --v with value "0x10": it must be a whole number'],
  [["--lease-dir=/l", "-v=99999999999"], {}, 'Cannot use --v with value "99999999999": it must be a whole number'],
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
    { POD_NAME: "p" },
    "Cannot start: env variables POD_NAME and POD_NAMESPACE must be set, or NODE_NAME: they tell which node this is",
  ],
  [
    ["--kube-subnet-mgr", "--lease-dir=/l"],
    { NODE_NAME: "n" },
    "Cannot start: --lease-dir and --kube-subnet-mgr name two lease sources; give one",
  ],
  [
    ["--kube-subnet-mgr", "--kube-annotation-prefix=a.b/c/d"],
    { NODE_NAME: "n" },
    'Cannot use --kube-annotation-prefix with value "a.b/c/d": subnet/kube: prefix can contain at most single slash',
  ],
  [
    ["--kube-subnet-mgr", "--kube-api-url=ftp://x"],
    { NODE_NAME: "n" },
    'Cannot use --kube-api-url with value "ftp://x": Cannot use API server "ftp://x": it must be a URL like https://10.0.0.1:6443',
  ],
  [
    ["--lease-dir=/l", "--subnet-lease-renew-margin=1440"],
    {},
    'Cannot use --subnet-lease-renew-margin with value "1440": it must be a number of minutes, 1 to 1439',
  ],
  [
    ["--lease-dir=/l", "--iface-can-reach=host"],
    {},
    'Cannot use --iface-can-reach with value "host": it must be an IPv4 address',
  ],
  [
    ["--etcd-endpoints=http://e"],
    {},
    'Cannot use --etcd-endpoints with value "http://e": the lease source etcd is not built yet',
  ],
  [["--etcd-password=secret"], {}, "Cannot use --etcd-password: the lease source etcd is not built yet"],
  [
    ["--lease-dir=/l", "--iface-regex=eth("],
    {},
    'Cannot use --iface-regex with value "eth(": it must be a regular expression as Go has them (missing closing ))',
  ],
  [["--public-ipv6=fd00::1"], {}, 'Cannot use --public-ipv6 with value "fd00::1": IPv6 is not built yet'],
  [
    ["--lease-dir=/l"],
    { FLANNELD_IP_BLACKHOLE_ROUTE: "true" },
    'Cannot use FLANNELD_IP_BLACKHOLE_ROUTE with value "true": the blackhole route of the node\'s subnet is not built yet',
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
    const other = {
      string: "other",
      list: "other",
      integer: "77",
      level: "77",
      boolean: initial === "true" ? "false" : "true",
    }[kind];
    expect(() => options(["--lease-dir=/l", `--${name}=${other}`])).toThrow(`--${name}`);
  }
});

test("parseInvocation() takes the flags of the lease source Kubernetes, and what the environment says of the node", () => {
  const usual = {
    kind: "kubernetes",
    identity: { kind: "node", name: "n" },
    apiUrl: "",
    kubeconfigFile: "",
    annotationPrefix: "flannel.alpha.coreos.com",
    netConfPath: "/etc/kube-flannel/net-conf.json",
    setCondition: true,
  } as const;
  const env = { NODE_NAME: "n", POD_NAME: "p", POD_NAMESPACE: "s" };
  expect(options(["--kube-subnet-mgr"], env).source).toEqual(usual);
  expect(options([], { ...env, FLANNELD_KUBE_SUBNET_MGR: "true" }).source).toEqual(usual);
  const words = ["-kube-api-url=https://[::1]:6443", "-kubeconfig-file", "/k", "--kube-annotation-prefix=a.b/c"];
  const more = ["--net-config-path=/n", "--set-node-network-unavailable=false"];
  expect(options(["-kube-subnet-mgr", ...words, ...more], { ...env, NODE_NAME: "" }).source).toEqual({
    kind: "kubernetes",
    identity: { kind: "pod", namespace: "s", name: "p" },
    apiUrl: "https://[::1]:6443",
    kubeconfigFile: "/k",
    annotationPrefix: "a.b/c",
    netConfPath: "/n",
    setCondition: false,
  });
});

test("parseInvocation() takes flags that have no effect, and says so of each once, also at its default", () => {
  const words = ["--lease-dir=/l", "-v=4", "-v", "0", "--vmodule", "a=1", "--iptables-resync=5"];
  const invocation = parseInvocation(words, {
    FLANNELD_LOG_BACKTRACE_AT: "x",
    FLANNELD_SUBNET_LEASE_RENEW_MARGIN: "60",
  });
  expect(invocation).toMatchObject({ kind: "run", options: defaults });
  expect(invocation.kind === "run" ? invocation.notes.map((line) => line.split(":")[0]) : []).toEqual([
    "--v has no effect here",
    "--vmodule has no effect here",
    "--iptables-resync has no effect here",
    "FLANNELD_SUBNET_LEASE_RENEW_MARGIN has no effect here",
    "FLANNELD_LOG_BACKTRACE_AT has no effect here",
  ]);
});

test("parseInvocation() goes on without what the environment has of another kind, and says so", () => {
  const env = {
    FLANNELD_V: "x",
    FLANNELD_HEALTHZ_PORT: "many",
    FLANNELD_IP_MASQ: "maybe",
    FLANNELD_VERSION: "v0.28.9",
  };
  const invocation = parseInvocation(["--lease-dir=/l"], env);
  expect(invocation).toEqual({
    kind: "run",
    options: defaults,
    notes: [
      'FLANNELD_HEALTHZ_PORT with value "many" is not used: it must be a whole number',
      'FLANNELD_IP_MASQ with value "maybe" is not used: it must be true or false',
      'FLANNELD_V with value "x" is not used: it must be a whole number',
    ],
  });
  expect(parseInvocation(["--lease-dir=/l"], { FLANNELD_VERSION: "true", FLANNELD_HELP: "true" }).kind).toBe("run");
});

test("parseInvocation() prints the version or the help whatever else is given", () => {
  expect(parseInvocation(["-version"], {})).toEqual({ kind: "version" });
  expect(parseInvocation(["--lease-dir=/l", "--version=t"], {})).toEqual({ kind: "version" });
  expect(parseInvocation(["--help"], {})).toEqual({ kind: "help" });
  expect(parseInvocation(["-h"], {})).toEqual({ kind: "help" });
  expect(parseInvocation(["--ip-masq", "-help"], {})).toEqual({ kind: "help" });
});

test("usageText() lists the flags that work, and only those; it names those without effect", async () => {
  const text = await usageText();
  const last = text.slice(text.lastIndexOf("\n"));
  for (const [name, { missing, idle }] of Object.entries(flagTable)) {
    const listed = missing === undefined && idle === undefined;
    expect({ name, listed: new RegExp(`--${name}[ =\n]`).test(text) }).toEqual({ name, listed });
    expect({ name, named: last.includes(`--${name}`) }).toEqual({ name, named: idle !== undefined });
  }
  expect(text).not.toMatch(/ $|--no-/m);
});
