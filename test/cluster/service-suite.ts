import { expect, test } from "bun:test";
import { dirname } from "node:path";

import { runCommand } from "../helpers/command.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { addresses } from "./addresses.ts";
import { dnsManifests } from "./dns.ts";
import { greeterScript } from "./images.ts";
import {
  createPods,
  deletePods,
  execInPod,
  fetchFrom,
  greeter,
  greeting,
  greetScript,
  pingFrom,
  serviceManifest,
  waitForGreeting,
} from "./pods.ts";
import type { PodSpec } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

const clients: readonly PodSpec[] = [
  { name: "client-1", node: "node1" },
  { name: "client-2", node: "node2" },
];
const servers: readonly PodSpec[] = [
  { name: "server-1", node: "node1", labels: { app: "web" }, command: greeter },
  { name: "server-2", node: "node2", labels: { app: "web" }, command: greeter },
];
const hostPort = 8088;
const nodePort = 30080;
const testTimeoutMs = 180_000;

/** Services, names, host ports and the way out: what a pod network and kube-proxy do together. */
export function serviceSuite(cluster: () => RealCluster): void {
  test(
    "cluster DNS comes up and pods of two nodes ping each other both ways",
    () => checkDns(cluster()),
    testTimeoutMs,
  );
  test(
    "a service answers by its name and by its ClusterIP, from each node",
    () => checkService(cluster()),
    testTimeoutMs,
  );
  test("a NodePort answers on each node", () => checkNodePort(cluster()), testTimeoutMs);
  test("a host port answers from another node and from outside", () => checkHostPort(cluster()), testTimeoutMs);
  test("a pod reaches the outside with its node's address", () => checkOutside(cluster()), testTimeoutMs);
}

/** Flannel's end-to-end scenario 1, but for the text of the rules. */
async function checkDns({ kubectl }: RealCluster): Promise<void> {
  await kubectl.apply(...dnsManifests());
  const [first, second] = await createPods(kubectl, [...clients, ...servers]);
  await kubectl.run(["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=90s"]);
  for (const [name, address] of [
    ["client-1", second?.address],
    ["client-2", first?.address],
  ] as const) {
    const { stdout } = await execInPod(kubectl, name, ["ping", "-c", "5", "-i", "0.2", address ?? ""]);
    expect(stdout).toContain("5 packets transmitted, 5 received, 0% packet loss");
  }
}

/** Flannel's end-to-end scenario 16. */
async function checkService({ kubectl }: RealCluster): Promise<void> {
  await kubectl.apply(serviceManifest("web", "web", nodePort));
  const service = (await kubectl.get("service", "web")).field("spec").field("clusterIP").string() ?? "";
  for (const { name } of clients) {
    expect(await lookUp(kubectl, name, "kubernetes.default.svc.cluster.local")).toContain(addresses.apiService);
    expect(await lookUp(kubectl, name, "web.default.svc.cluster.local")).toContain(service);
    expect(await waitForGreeting(kubectl, name, service, 80)).toContain("200 OK");
    expect(await waitForGreeting(kubectl, name, "web", 80)).toContain("200 OK");
    const answers = new Set<string>();
    await waitUntil(
      `both servers have answered ${name}`,
      async () => {
        const answer = await fetchFrom(kubectl, name, service, 80);
        answers.add(/server-\d/.exec(answer)?.[0] ?? "");
        return answers.size === servers.length;
      },
      30_000,
    );
    expect([...answers].toSorted()).toEqual(["server-1", "server-2"]);
  }
}

async function lookUp(kubectl: RealCluster["kubectl"], pod: string, name: string): Promise<string> {
  const { stdout, stderr } = await execInPod(kubectl, pod, ["nslookup", name]);
  return stdout + stderr;
}

async function checkNodePort(cluster: RealCluster): Promise<void> {
  for (const node of cluster.nodes) {
    expect(await fetchFromOutside(cluster.wire, node.address, nodePort)).toContain("200 OK");
  }
}

async function checkHostPort(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const spec: PodSpec = { name: "host-port", node: "node1", command: greeter, hostPort };
  await createPods(kubectl, [spec]);
  const node = cluster.node(1);
  expect(await fetchFromOutside(cluster.node(2).netns, node.address, hostPort)).toContain("host-port");
  expect(await fetchFromOutside(cluster.wire, node.address, hostPort)).toContain(`host-port ${addresses.router}`);
  for (const { name } of clients) {
    expect(await fetchFrom(kubectl, name, node.address, hostPort)).toContain("host-port");
  }
  await deletePods(kubectl, [spec]);
  await waitUntil("the host port is closed", async () => {
    return !(await fetchFromOutside(cluster.wire, node.address, hostPort)).includes("200 OK");
  });
}

async function checkOutside(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const script = await cluster.directory.write("www/cgi-bin/who", greeterScript, 0o755);
  const pages = dirname(dirname(script));
  await using server = cluster.startOutside(["busybox", "httpd", "-f", "-p", "0.0.0.0:8080", "-h", pages]);
  await waitUntil("the outside answers", async () => {
    return (await fetchFromOutside(cluster.wire, addresses.outside, 8080)).includes("200 OK");
  });
  for (const [index, { name }] of clients.entries()) {
    expect(await pingFrom(kubectl, name, addresses.outside)).toContain("1 received");
    expect(await fetchFrom(kubectl, name, addresses.outside, 8080)).toEndWith(` ${cluster.node(index + 1).address}`);
  }
  await server.stop();
  await deletePods(kubectl, [...clients, ...servers]);
  await kubectl.run(["delete", "service", "web"]);
}

/** What a greeter answers to somebody who is no pod. */
async function fetchFromOutside(netns: TestNetns, address: string, port: number): Promise<string> {
  const command = netns.argv(["timeout", "5", "bash", "-c", greetScript(address, port)]);
  return greeting(await runCommand(command, { exitCode: "any" }));
}
