import { expect, test } from "bun:test";
import { readdir, readFile, rm } from "node:fs/promises";

import packageJson from "../../package.json" with { type: "json" };
import { runCommand } from "../helpers/command.ts";
import {
  containerdNames,
  containerdRequirements,
  startContainerd,
  type TestContainerd,
} from "../helpers/containerd.ts";
import { type BuiltImage, buildImage, confinement, thisArchitecture } from "../helpers/image.ts";
import { readConfigMap, readContainer } from "../helpers/manifest.ts";
import { createNode, type TestNode } from "../helpers/node.ts";
import { describeWith, type Requirement } from "../helpers/require.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../helpers/temp.ts";
import { waitUntil } from "../helpers/wait-until.ts";

/** Packages are fetched and 110 MB compressed, perhaps beside other work. */
const buildTimeoutMs = 240_000;
const inKubernetes = ["--namespace", "k8s.io"];
const builder: readonly Requirement[] = ["executable", "tool:apt-get", "tool:dpkg-deb"];

const images = new Map<string, Promise<BuiltImage>>();

/** The image of this test run. */
function builtImage(architecture: string): Promise<BuiltImage> {
  const built = images.get(architecture) ?? buildImage(architecture);
  images.set(architecture, built);
  return built;
}

/** Unpacks an image's layers and returns the root they make. */
async function unpackImage(architecture: string, directory: TemporaryDirectory): Promise<string> {
  const { path } = await builtImage(architecture);
  await runCommand(["tar", "--extract", "--file", path, "--directory", directory.path]);
  const root = await directory.directory("root");
  for (const blob of await readdir(directory.join("blobs/sha256"))) {
    // The blobs that are no layers are JSON.
    const layer = directory.join("blobs/sha256", blob);
    await runCommand(["tar", "--extract", "--gzip", "--file", layer, "--directory", root], { exitCode: "any" });
  }
  return root;
}

async function sha256(path: string): Promise<string> {
  return (await runCommand(["sha256sum", path])).stdout.slice(0, 64);
}

async function importImage(containerd: TestContainerd, archive: string, flags: readonly string[]): Promise<void> {
  const words = ["images", "import", ...flags, "--snapshotter", "native", archive];
  await containerd.ctr([...inKubernetes, ...words], { timeoutMs: 60_000 });
}

/** The words with which a container of the manifest starts in the node. */
async function runWords(node: TestNode, container: string, configMap: string): Promise<readonly string[]> {
  const spec = await readContainer(container);
  const place = ["--snapshotter", "native", "--cgroup", `/${node.cgroup}/${container}`];
  return ["run", "--rm", ...place, ...confinement(spec, configMap), spec.image, container];
}

await describeWith(builder, "npm run image", () => {
  const printed = /^dist\/image-\w+\.tar: localhost\/tartan:\S+, [\d.]+ MB, libc6 2\.\S+, sha256:[\da-f]{64}\n$/;

  test(
    "writes the same bytes each time, and says which libc6 they hold",
    async () => {
      const first = await builtImage(thisArchitecture);
      expect(first.printed).toMatch(printed);
      const sum = await sha256(first.path);
      await rm(first.path);
      const second = await buildImage(thisArchitecture);
      expect([second.printed, await sha256(second.path)]).toEqual([first.printed, sum]);
    },
    buildTimeoutMs,
  );

  test(
    "puts the executable, its names, the loader and four libraries into the image, and nothing else",
    async () => {
      await using directory = await createTemporaryDirectory();
      const root = await unpackImage(thisArchitecture, directory);
      const { stdout } = await runCommand(["find", ".", "!", "-type", "d", "-printf", "%f %y %m\\n"], { cwd: root });
      const loader = thisArchitecture === "amd64" ? "ld-linux-x86-64.so.2" : "ld-linux-aarch64.so.1";
      expect(stdout.trim().split("\n").toSorted()).toEqual([
        "flanneld l 777",
        "install-cni l 777",
        `${loader} f 755`,
        "libc.so.6 f 644",
        "libdl.so.2 f 644",
        "libm.so.6 f 644",
        "libpthread.so.0 f 644",
        "tartan f 755",
      ]);
    },
    buildTimeoutMs,
  );
});

await describeWith([...builder, "tool:qemu-aarch64"], "npm run image for arm64", () => {
  test(
    "runs on that machine, calls into its C library included",
    async () => {
      await using directory = await createTemporaryDirectory();
      const root = await unpackImage("arm64", directory);
      const words = ["qemu-aarch64", "-L", root, `${root}/opt/bin/tartan`];
      const { stdout } = await runCommand([...words, "version"], { timeoutMs: 60_000 });
      expect(stdout).toStartWith(`tartan ${packageJson.version} (`);
      const config = JSON.stringify({ cniVersion: "1.1.0", name: "cbr0", type: "loopback" });
      const env = { CNI_COMMAND: "STATUS", CNI_PATH: "/" };
      await runCommand([...words, "loopback"], { env, stdin: config, timeoutMs: 60_000 });
    },
    buildTimeoutMs,
  );
});

for (const version of containerdNames) {
  const requirements = [...builder, "link:vxlan", ...containerdRequirements(version)] as const;
  await describeWith(requirements, `the image in containerd ${version}`, () => {
    test(
      "installs and runs as the manifest confines it",
      async () => {
        const { path } = await builtImage(thisArchitecture);
        await using node = await createNode();
        await using containerd = await startContainerd(node, version);
        await importImage(containerd, path, version === "2.2" ? ["--local"] : []);
        await using configMap = await createTemporaryDirectory();
        await configMap.write("cni-conf.json", await readConfigMap("cni-conf.json"));
        // As some distributions have it: another user's, to which root without capabilities could not write.
        await runCommand(["chown", "1001:1001", node.path("opt/cni/bin"), node.path("etc/cni/net.d")]);
        for (const container of ["install-cni-plugin", "install-cni"]) {
          const { command } = await readContainer(container);
          const run = [...inKubernetes, ...(await runWords(node, container, configMap.path)), ...command];
          await containerd.ctr(run, { timeoutMs: 60_000 });
        }
        const installed = await readdir(node.path("opt/cni/bin"));
        expect(installed.toSorted().join(" ")).toBe("bridge flannel host-local loopback portmap tartan");
        const configured = await readdir(node.path("etc/cni/net.d"));
        expect(configured.toSorted().join(" ")).toBe(".10-flannel.conflist.tartan-own 10-flannel.conflist");
        await runDaemon(node, containerd, configMap.path);
      },
      buildTimeoutMs,
    );
  });
}

/** Runs the daemon's container with leases in a directory: without Kubernetes, but with its rights. */
async function runDaemon(node: TestNode, containerd: TestContainerd, configMap: string): Promise<void> {
  await node.netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "wire");
  for (const device of ["wire", "eth0"]) await node.netns.ip("link", "set", device, "up");
  await node.netns.ip("address", "add", "192.168.1.2/24", "dev", "eth0");
  await node.write("run/leases/config", JSON.stringify({ Network: "10.244.0.0/16", Backend: { Type: "vxlan" } }));
  // /var/lib is the machine's own.
  await node.run(["mkdir", "-p", "/run/flannel", "/run/state"]);
  const words = await runWords(node, "kube-flannel", configMap);
  const placed = words.slice(1).map((word) => word.replace("src=/var/lib/tartan,", "src=/run/state,"));
  const leases = ["--net-host", "--mount", "type=bind,src=/run/leases,dst=/leases,options=rbind:rw"];
  const daemon = ["/opt/bin/flanneld", "--ip-masq", "--lease-dir=/leases", "--iface=eth0"];
  await using client = node.start(["ctr", ...inKubernetes, "run", ...leases, ...placed, ...daemon]);
  await client.waitUntil("the daemon has written subnet.env", async () => {
    return (await readdir(node.path("run/flannel"))).includes("subnet.env");
  });
  expect((await node.netns.ip("-brief", "link", "show", "flannel.1")).stdout).toStartWith("flannel.1");
  expect(await readFile(node.path("run/flannel/subnet.env"), "utf8")).toContain("FLANNEL_IPMASQ=true\n");
  await containerd.ctr([...inKubernetes, "task", "kill", "--signal", "SIGTERM", "kube-flannel"]);
  await waitUntil("the daemon has ended", () => client.exitCode !== undefined);
  expect(client.exitCode).toBe(0);
}
