import type { Decoder } from "../../src/base/decode.ts";
import type { CommandResult } from "../helpers/command.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { greeterDirectory, imageNames } from "./images.ts";
import type { Kubectl, Manifest } from "./kubectl.ts";

/** A pod that a test makes. */
export interface PodSpec {
  readonly name: string;
  /** The node it is bound to by a selector, as the seed does. */
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** What it runs; it sleeps when left out. */
  readonly command?: readonly string[];
  /** A port of the node for TCP port 8080 of the pod. */
  readonly hostPort?: number;
}

/** Where a pod is. */
export interface PodState {
  readonly name: string;
  readonly node: string;
  readonly address: string;
  readonly phase: string;
}

/** Answers on TCP port 8080 with the pod's name and the address of who asks. */
export const greeter: readonly string[] = ["httpd", "-f", "-p", "0.0.0.0:8080", "-h", greeterDirectory];

/** A line of bash that asks a greeter and writes all it answers. */
export function greetScript(host: string, port: number): string {
  return `exec 3<>/dev/tcp/${host}/${port} && printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
}

/** What bash wrote, without the lines' returns. */
export function greeting({ stdout, stderr }: CommandResult): string {
  return `${stdout}${stderr}`.replaceAll("\r", "").trim();
}

/** The manifest of a pod. Its first process ignores SIGTERM, so the kubelet is told not to wait long. */
export function podManifest(spec: PodSpec): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: spec.name, labels: { app: spec.name, ...spec.labels } },
    spec: {
      ...(spec.node === undefined ? {} : { nodeSelector: { "kubernetes.io/hostname": spec.node } }),
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: "main",
          image: imageNames.pod,
          imagePullPolicy: "Never",
          ...(spec.command === undefined ? {} : { command: spec.command }),
          ports: [{ containerPort: 8080, ...(spec.hostPort === undefined ? {} : { hostPort: spec.hostPort }) }],
        },
      ],
    },
  };
}

/** The manifest of a service for TCP port 8080 of the pods with a label `app`. */
export function serviceManifest(name: string, app: string, nodePort?: number): Manifest {
  const port = { port: 80, targetPort: 8080, protocol: "TCP" };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: {
      selector: { app },
      ...(nodePort === undefined ? { ports: [port] } : { type: "NodePort", ports: [{ ...port, nodePort }] }),
    },
  };
}

/** Makes pods and waits until all of them run. */
export async function createPods(kubectl: Kubectl, specs: readonly PodSpec[]): Promise<readonly PodState[]> {
  await kubectl.apply(...specs.map(podManifest));
  const names = specs.map(({ name }) => `pod/${name}`);
  await kubectl.run(["wait", "--for=condition=Ready", ...names, "--timeout=90s"]);
  return await listPods(kubectl, specs);
}

/** Deletes pods and waits until the API server has none of them. */
export async function deletePods(kubectl: Kubectl, specs: readonly { readonly name: string }[]): Promise<void> {
  const names = specs.map(({ name }) => name);
  await kubectl.run(["delete", "pod", ...names, "--ignore-not-found", "--wait=true", "--timeout=90s"]);
}

/** Where pods are, in the order asked for. */
async function listPods(kubectl: Kubectl, specs: readonly { readonly name: string }[]): Promise<readonly PodState[]> {
  const items = (await kubectl.get("pods")).field("items").list().map(decodePod);
  return specs.map(({ name }) => {
    const pod = items.find((item) => item.name === name);
    if (pod === undefined) throw new Error(`Cannot find pod "${name}": the API server does not have it`);
    return pod;
  });
}

/** Reads what a test looks at of a pod. */
function decodePod(item: Decoder): PodState {
  return {
    name: item.field("metadata").field("name").string() ?? "",
    node: item.field("spec").field("nodeName").string() ?? "",
    address: item.field("status").field("podIP").string() ?? "",
    phase: item.field("status").field("phase").string() ?? "",
  };
}

/** Runs a program in a pod. */
export function execInPod(kubectl: Kubectl, pod: string, command: readonly string[]): Promise<CommandResult> {
  return kubectl.run(["exec", pod, "--", ...command], { exitCode: "any" });
}

/** What one ping from a pod says, as a person would run it. */
export async function pingFrom(kubectl: Kubectl, pod: string, address: string): Promise<string> {
  const { stdout, stderr } = await execInPod(kubectl, pod, ["ping", "-c", "1", "-W", "2", address]);
  return stdout + stderr;
}

/** What a greeter answers to a pod within 10 s; the name is looked up in the pod. */
export async function fetchFrom(kubectl: Kubectl, pod: string, host: string, port: number): Promise<string> {
  const patience = ["timeout", "10"];
  return greeting(await execInPod(kubectl, pod, [...patience, "bash", "-c", greetScript(host, port)]));
}

/** Waits until a greeter answers a pod, which is when the service's rules are there. */
export async function waitForGreeting(kubectl: Kubectl, pod: string, host: string, port: number): Promise<string> {
  let answer = "";
  await waitUntil(
    `${host}:${port} answers ${pod}`,
    async () => {
      answer = await fetchFrom(kubectl, pod, host, port);
      return answer.includes("200 OK");
    },
    20_000,
  );
  return answer;
}
