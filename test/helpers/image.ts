import { join } from "node:path";

import { runCommand } from "./command.ts";
import { repositoryRoot } from "./executable.ts";
import type { ManifestContainer } from "./manifest.ts";

/** What `ctr run` gives a container that is told nothing (containerd, oci/spec.go, defaultUnixCaps). */
const usualCapabilities = [
  ..."CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP".split(" "),
  ..."NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE".split(" "),
];

/** Debian's name of this machine. */
export const thisArchitecture: string = process.arch === "arm64" ? "arm64" : "amd64";

/** An image's archive, and what was printed about it. */
export interface BuiltImage {
  readonly path: string;
  readonly printed: string;
}

/** Builds the image for a machine, as `npm run image` does. */
export async function buildImage(architecture: string): Promise<BuiltImage> {
  const words = [process.execPath, "scripts/image.ts", `--arch=${architecture}`];
  const { stdout } = await runCommand(words, { cwd: repositoryRoot, timeoutMs: 180_000 });
  return { path: join(repositoryRoot, "dist", `image-${architecture}.tar`), printed: stdout };
}

/** What `ctr run` needs to confine a container as its manifest asks the kubelet to; the ConfigMap is a directory here. */
export function confinement(container: ManifestContainer, configMap: string): readonly string[] {
  const dropped = container.droppedCapabilities.includes("ALL") ? usualCapabilities : container.droppedCapabilities;
  return [
    "--seccomp",
    ...(container.readOnlyRoot ? ["--read-only"] : []),
    ...dropped
      .filter((name) => !container.addedCapabilities.includes(name))
      .flatMap((name) => ["--cap-drop", `CAP_${name}`]),
    ...container.addedCapabilities.flatMap((name) => ["--cap-add", `CAP_${name}`]),
    ...container.mounts.flatMap(({ path, readOnly, hostPath }) => {
      const options = readOnly ? "rbind:ro" : "rbind:rw";
      return ["--mount", `type=bind,src=${hostPath ?? configMap},dst=${path},options=${options}`];
    }),
  ];
}
