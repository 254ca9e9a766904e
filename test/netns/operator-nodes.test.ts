/** `tartan nodes` on a real API server, as the executable that people run. */
import { afterAll, beforeAll, expect, test } from "bun:test";

import { type ApiServer, createApiServer, flannelToken } from "../helpers/api-server.ts";
import { BackgroundProcess } from "../helpers/background.ts";
import { createAuthority } from "../helpers/certificates.ts";
import { type CommandResult, runCommand } from "../helpers/command.ts";
import { executablePath } from "../helpers/executable.ts";
import { KubeStore } from "../helpers/kube-store.ts";
import { kubeconfigText } from "../helpers/kubeconfig.ts";
import { leaseText } from "../helpers/lease-store.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../helpers/temp.ts";

function nodes(
  config: string,
  exitCode: number,
  options: { readonly words?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<CommandResult> {
  const { words = [], env = {} } = options;
  return runCommand([executablePath, "nodes", "--kubeconfig", config, ...words], { exitCode, env });
}

function data(mac: string): string {
  return `{"VNI":1,"VtepMAC":"${mac}"}`;
}

await describeWith(["root", "executable", "peer:etcd", "peer:kubernetes"], "tartan nodes", () => {
  let server: ApiServer;
  let store: KubeStore;
  let directory: TemporaryDirectory;
  let adminConfig: string;
  beforeAll(async () => {
    server = await createApiServer();
    directory = await createTemporaryDirectory();
    store = new KubeStore(server, await createTemporaryDirectory());
    const { certPath, keyPath } = server.admin;
    adminConfig = await kubeconfig({ "client-certificate": certPath, "client-key": keyPath });
    await server.ask("POST", "/api/v1/namespaces", { metadata: { name: "kube-flannel" } });
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  function kubeconfig(user: object, cluster: object = {}): Promise<string> {
    const usual = {
      server: `https://127.0.0.1:${server.port}`,
      "certificate-authority": server.authority.own.certPath,
    };
    return directory.write(`config-${Bun.randomUUIDv7()}`, kubeconfigText(user, { ...usual, ...cluster }));
  }

  test("lists the nodes with the network of the ConfigMap, and says what is wrong", async () => {
    const { stdout: none, stderr } = await nodes(adminConfig, 0);
    expect(none).toBe("NODE  POD CIDR  PUBLIC IP  BACKEND  DATA\n\n0 nodes, nothing is wrong\n");
    expect(stderr).toContain('the API server answers 404 NotFound: configmaps "kube-flannel-cfg" not found');
    await server.ask("POST", "/api/v1/namespaces/kube-flannel/configmaps", {
      metadata: { name: "kube-flannel-cfg" },
      data: { "net-conf.json": '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}' },
    });
    const lease = store.annotationsOf(leaseText("192.168.1.1"));
    const well = { ...lease, "flannel.alpha.coreos.com/backend-data": data("5a:00:00:00:00:01") };
    await store.createNode("node1", "10.244.1.0/24", well);
    const all = await nodes(adminConfig, 0);
    expect(all.stderr).toBe("");
    expect(all.stdout).toBe(`\
NODE   POD CIDR       PUBLIC IP    BACKEND  DATA
node1  10.244.1.0/24  192.168.1.1  vxlan    VNI 1, 5a:00:00:00:00:01

network 10.244.0.0/16, backend vxlan; 1 node, nothing is wrong
`);
    await store.createNode("node2", "");
    await store.createNode("node3", "10.42.3.0/24", {
      ...lease,
      "flannel.alpha.coreos.com/backend-data": data("5a:00:00:00:00:03"),
    });
    const { stdout } = await nodes(adminConfig, 1);
    expect(stdout).toContain("node2  -              -            -        -\n");
    expect(stdout).toContain("node2: no pod CIDR is assigned to it");
    expect(stdout).toContain('node2: annotation flannel.alpha.coreos.com/kube-subnet-manager is not "true"');
    expect(stdout).toContain('node3: subnet "10.244.0.0/16" specified in the flannel net config doesn\'t contain');
    expect(stdout).toContain('node1: its public IP 192.168.1.1 is also that of node "node3"');
    expect(stdout).toEndWith("3 nodes, something is wrong with 3\n");
  });

  test("asks as who the daemon is, to whom the ConfigMap is closed, with a token and the network of a file", async () => {
    const config = await kubeconfig({ token: flannelToken });
    expect((await nodes(config, 1)).stderr).toContain("the API server answers 403 Forbidden: configmaps");
    await store.writeConfig('{"Network":"10.42.0.0/16","Backend":{"Type":"vxlan"}}');
    const { stdout, stderr } = await nodes(config, 1, { words: ["--net-config-path", store.netConfPath] });
    expect(stderr).toBe("");
    expect(stdout).toContain("network 10.42.0.0/16, backend vxlan");
  });

  test("lists more nodes than come in one page, and all of them once", async () => {
    const names = Array.from({ length: 600 }, (_, index) => `many-${String(index).padStart(3, "0")}`);
    await Promise.all(names.map((name) => store.createNode(name, "")));
    const { stdout } = await nodes(adminConfig, 1);
    expect(stdout.match(/^many-\d{3} /gm)?.map((text) => text.trim())).toEqual(names);
    await Promise.all(names.map((name) => store.deleteNode(name)));
  });

  test("with --watch tells what changes, also what has changed while the API server was away", async () => {
    const lease = store.annotationsOf(leaseText("192.168.1.4"));
    const annotations = { ...lease, "flannel.alpha.coreos.com/backend-data": data("5a:00:00:00:00:04") };
    await using watching = new BackgroundProcess([executablePath, "nodes", "--kubeconfig", adminConfig, "--watch"]);
    await watching.waitUntil("the nodes are listed", () => watching.stdout.includes("something is wrong with 3\n"));
    await store.createNode("node4", "10.244.4.0/24", annotations);
    await told(
      "node4: added, POD CIDR 10.244.4.0/24, PUBLIC IP 192.168.1.4, BACKEND vxlan, DATA VNI 1, 5a:00:00:00:00:04",
    );
    await server.stop("SIGKILL");
    await watching.waitUntil("the end is told", () =>
      watching.stderr.includes("; what has changed is asked for again in"),
    );
    await server.start();
    await store.deleteNode("node4");
    await told("node4: removed");
    await store.createNode("node5", "");
    await told("node5: no pod CIDR is assigned to it; kube-controller-manager does that");
    await store.deleteNode("node5");
    await told("node5: removed");
    const lines = watching.stdout.slice(watching.stdout.indexOf("with 3\n") + 7);
    expect(lines).toMatch(/^(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ node[45]: .+\n)+$/);
    expect(lines.match(/node4: removed/g)).toHaveLength(1);

    async function told(text: string): Promise<void> {
      await watching.waitUntil(`"${text}" is told`, () => watching.stdout.includes(`Z ${text}\n`), 40_000);
    }
  });

  test("takes nobody else for the API server, whatever its environment says", async () => {
    const foreign = await createAuthority(directory, "foreign");
    const config = await kubeconfig({ token: flannelToken }, { "certificate-authority": foreign.own.certPath });
    const env = {
      NODE_EXTRA_CA_CERTS: server.authority.own.certPath,
      NODE_TLS_REJECT_UNAUTHORIZED: "0",
      HTTPS_PROXY: "http://127.0.0.1:1",
    };
    const refused = await nodes(config, 1, { env });
    expect(refused.stdout).toBe("");
    expect(refused.stderr).toContain(`Cannot talk to 127.0.0.1:${server.port}: its certificate is not accepted`);
    const good = await nodes(adminConfig, 1, { env });
    expect(good.stdout).toContain("node1  10.244.1.0/24");
  });

  test("says what is wrong with a kubeconfig, an option, a file or a server", async () => {
    const brokenConfig = await directory.write("broken.json", '{ "Network": ');
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [["--kubeconfig", "/nowhere"], 1, 'tartan nodes: Cannot use kubeconfig "/nowhere": there is no such file'],
      [
        ["--kubeconfig", adminConfig, "--net-config-path", "/nowhere"],
        1,
        'Cannot read the network: no file "/nowhere"',
      ],
      [
        ["--kubeconfig", adminConfig, "--net-config-path", brokenConfig],
        1,
        `tartan nodes: Cannot use the flannel config "${brokenConfig}": `,
      ],
      [
        ["--kubeconfig", adminConfig, "--kube-annotation-prefix", "a/b/c"],
        1,
        "prefix can contain at most single slash",
      ],
      [["--follow"], 2, 'tartan nodes: unknown option "--follow"\ntartan nodes --help prints its options'],
    ];
    for (const [words, exitCode, message] of cases) {
      const { stderr, stdout } = await runCommand([executablePath, "nodes", ...words], { exitCode });
      expect(stderr).toContain(message);
      expect(stdout).toBe("");
    }
    for (const [answer, message] of [
      ["<html>Welcome</html>", "Cannot GET /api/v1/nodes: the server's answer is no object of the API"],
      ['{"hello":1}', "Cannot list nodes: the server's answer is no list of nodes"],
    ] as const) {
      const page = { headers: { "Content-Type": answer.startsWith("{") ? "application/json" : "text/html" } };
      using web = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(answer, page) });
      const config = await kubeconfig({}, { server: `http://127.0.0.1:${web.port}` });
      expect((await nodes(config, 1)).stderr).toContain(message);
    }
    const { stdout } = await runCommand([executablePath, "nodes", "--help"]);
    expect(stdout).toStartWith("Usage: tartan nodes [OPTION]...\n");
  });
});
