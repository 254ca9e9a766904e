import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";

import packageJson from "../../../package.json" with { type: "json" };
import { Decoder, parseJson } from "../../../src/base/decode.ts";
import { parseNetworkConfig } from "../../../src/lease/network-config.ts";
import { readPluginTypes } from "../../../src/operator/install/conflist.ts";
import { parseInstallOptions } from "../../../src/operator/install/options.ts";
import { runCommand } from "../../helpers/command.ts";
import { ownConflist } from "../../helpers/conflists.ts";
import { repositoryRoot } from "../../helpers/executable.ts";
import {
  manifestPath,
  objectOf,
  parseManifest,
  readConfigMap,
  readContainer,
  readMoveCommand,
  texts,
} from "../../helpers/manifest.ts";

const text = await readFile(manifestPath, "utf8");
const objects = parseManifest(text);
const daemonSet = objectOf(objects, "DaemonSet");
const pod = daemonSet.field("spec").field("template").field("spec");
const containerNames = ["install-cni-plugin", "install-cni", "kube-flannel"];

/** Kind, namespace, name and labels of an object. */
function identity(object: Decoder): string {
  const { value } = object.field("metadata").field("labels");
  const labels = Object.entries(new Decoder(value).object() ?? {}).map(
    ([key, label]) => `${key}=${typeof label === "string" ? label : JSON.stringify(label)}`,
  );
  const [namespace = "", name = ""] = ["namespace", "name"].map((key) => object.field("metadata").field(key).string());
  return `${object.field("kind").string()} ${namespace}/${name} ${labels.toSorted().join(",")}`;
}

// flannel's Documentation/kube-flannel.yml at v0.28.9: what another name would leave beside ours.
test("kube-flannel.yml has the objects of flannel's own, by name and label", () => {
  const ours = "app=flannel,k8s-app=flannel,tier=node";
  expect(objects.map(identity)).toEqual([
    "Namespace /kube-flannel k8s-app=flannel,pod-security.kubernetes.io/enforce=privileged",
    "ClusterRole /flannel k8s-app=flannel",
    "ClusterRoleBinding /flannel k8s-app=flannel",
    "ServiceAccount kube-flannel/flannel k8s-app=flannel",
    `ConfigMap kube-flannel/kube-flannel-cfg ${ours}`,
    `DaemonSet kube-flannel/kube-flannel-ds ${ours}`,
  ]);
  const spec = daemonSet.field("spec");
  expect(spec.field("selector").value).toEqual({ matchLabels: { app: "flannel" } });
  expect(spec.field("template").field("metadata").value).toEqual({ labels: { tier: "node", app: "flannel" } });
  const names = [...pod.field("initContainers").list(), ...pod.field("containers").list()];
  expect(names.map((container) => container.field("name").string())).toEqual(containerNames);
});

test("kube-flannel.yml names the image in one line, of this release", async () => {
  expect(text.match(/localhost\/tartan/g)).toHaveLength(1);
  for (const name of containerNames) {
    expect((await readContainer(name)).image).toBe(`localhost/tartan:${packageJson.version}`);
  }
});

test("kube-flannel.yml gives each container the least it needs", async () => {
  expect(text).not.toContain("privileged: true");
  const capabilities = [];
  for (const name of containerNames) {
    const { readOnlyRoot, droppedCapabilities, addedCapabilities } = await readContainer(name);
    expect([readOnlyRoot, droppedCapabilities]).toEqual([true, ["ALL"]]);
    capabilities.push(addedCapabilities.join());
  }
  expect(capabilities).toEqual(["DAC_OVERRIDE", "DAC_OVERRIDE", "NET_ADMIN"]);
  const rules = objectOf(objects, "ClusterRole").field("rules").list();
  const granted = rules.map((rule) => `${texts(rule.field("resources")).join()}: ${texts(rule.field("verbs")).join()}`);
  expect(granted).toEqual(["nodes: list,watch", "nodes/status: patch"]);
});

test("kube-flannel.yml has a configuration list for old and new runtimes, with one plugin", async () => {
  const conflist = await readConfigMap("cni-conf.json");
  expect(readPluginTypes(conflist)).toEqual(["flannel", "bridge", "host-local"]);
  // The one with which the tests add their pods.
  expect(parseJson(conflist)).toEqual(ownConflist);
});

test("kube-flannel.yml has the stock network, and options that the installer takes", async () => {
  const network = parseNetworkConfig(await readConfigMap("net-conf.json"));
  expect(network).toBeDefined();
  for (const name of ["install-cni-plugin", "install-cni"]) {
    const { command } = await readContainer(name);
    expect(command[0]).toBe("/opt/bin/install-cni");
    expect(parseInstallOptions(command.slice(1))).toMatchObject({
      kind: "install",
      part: name === "install-cni" ? "conflist" : "plugins",
      binDirectory: "/opt/cni/bin",
      netDirectory: "/etc/cni/net.d",
      conflist: "/etc/kube-flannel/cni-conf.json",
    });
  }
});

test("README's command for the move leaves out the ConfigMap and nothing else", async () => {
  const { stdout } = await runCommand(["sh", "-c", await readMoveCommand()], { cwd: repositoryRoot });
  const wanted = objects.filter((object) => object.field("kind").string() !== "ConfigMap");
  expect(parseManifest(stdout).map(({ value }) => value)).toEqual(wanted.map(({ value }) => value));
  expect(wanted).toHaveLength(objects.length - 1);
});
