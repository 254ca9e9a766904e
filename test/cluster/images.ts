import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";

import { runCommand } from "../helpers/command.ts";
import { peerProgram } from "../helpers/peers.ts";
import type { ImageSpec } from "./image.ts";

/** The images of a cluster by what they are for. */
export const imageNames = {
  pause: "tartan.test/pause:1",
  pod: "tartan.test/pod:1",
  coreDns: "tartan.test/coredns:v1.12.4",
  flannel: "tartan.test/flannel:v0.28.9",
} as const;

/** Where the pods' image has what a greeter answers with. */
export const greeterDirectory = "/www";

/** What an HTTP server executes to answer with its host's name and the address of who asks. */
export const greeterScript = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s %s\\n' "$(hostname)" "$REMOTE_ADDR"
`;

/** What holds a pod's namespaces: it only has to be there. */
export function pauseImage(): ImageSpec {
  return {
    name: imageNames.pause,
    programs: { "/bin/busybox": toolPath("busybox") },
    entrypoint: ["/bin/busybox", "sleep", "2147483647"],
  };
}

/** What pods run: a shell, ping, servers. bash resolves names as most programs do; a static program cannot. */
export function podImage(): ImageSpec {
  const applets = ["sh", "sleep", "ip", "cat", "nc", "httpd", "wget", "nslookup", "hostname", "timeout"];
  return {
    name: imageNames.pod,
    programs: {
      "/bin/busybox": toolPath("busybox"),
      "/bin/bash": toolPath("bash"),
      "/bin/ping": toolPath("ping"),
    },
    links: Object.fromEntries(applets.map((name) => [`/bin/${name}`, "busybox"])),
    scripts: { [`${greeterDirectory}/cgi-bin/who`]: greeterScript },
    entrypoint: ["/bin/sleep", "2147483647"],
  };
}

export function coreDnsImage(): ImageSpec {
  return {
    name: imageNames.coreDns,
    programs: { "/coredns": peerProgram("coredns", "coredns") },
    entrypoint: ["/coredns"],
  };
}

/** Both images of upstream's manifest in one: the daemon with what it executes, and the plugin with what installs it. */
export async function flannelImage(): Promise<ImageSpec> {
  const iptables = toolPath("iptables-nft");
  const tables = ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];
  const { stdout } = await runCommand(["find", "/usr/lib", "/lib", "-path", "*/xtables/*.so"], { exitCode: "any" });
  return {
    name: imageNames.flannel,
    programs: {
      "/opt/bin/flanneld": peerProgram("flanneld", "flanneld"),
      "/opt/bin/install-conf": peerProgram("flanneld", "install-conf"),
      "/flannel": peerProgram("flannel-cni", "flannel"),
      "/bin/busybox": toolPath("busybox"),
      "/sbin/xtables-nft-multi": iptables,
    },
    links: {
      "/bin/cp": "busybox",
      "/bin/sh": "busybox",
      ...Object.fromEntries(tables.map((name) => [`/sbin/${name}`, "xtables-nft-multi"])),
    },
    files: stdout.split("\n").filter((path) => path !== "" && !path.startsWith("/lib/")),
    entrypoint: ["/opt/bin/flanneld"],
  };
}

/** Copies the reference plugins, which upstream does not bring, to where a distribution's package would put them. */
export async function copyReferencePlugins(directory: string): Promise<void> {
  for (const name of ["bridge", "host-local", "loopback", "portmap"]) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await copyFile(peerProgram("cni-plugins", name), path);
  }
}

function toolPath(name: string): string {
  const path = Bun.which(name);
  if (path === null) throw new Error(`Cannot make an image: there is no "${name}" on PATH`);
  return path;
}
