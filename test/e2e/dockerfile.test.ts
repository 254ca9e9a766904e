import { expect, test } from "bun:test";

import packageJson from "../../package.json" with { type: "json" };
import { writeImageArchive, listLibraries } from "../cluster/image.ts";
import { runCommand } from "../helpers/command.ts";
import type { CommandOptions } from "../helpers/command.ts";
import { executablePath, repositoryRoot } from "../helpers/executable.ts";
import { buildImage, thisArchitecture } from "../helpers/image.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import type { TemporaryDirectory } from "../helpers/temp.ts";

/** 110 MB are copied some times over. */
const buildTimeoutMs = 240_000;

/** A builder of images that needs no daemon, with a store of its own in a directory. */
class Buildah {
  readonly #options: readonly string[];

  constructor(directory: TemporaryDirectory) {
    const store = ["--root", directory.join("store"), "--runroot", directory.join("run"), "--storage-driver", "vfs"];
    this.#options = store;
  }

  async run(words: readonly string[], options: CommandOptions = {}): Promise<string> {
    const command = ["buildah", ...this.#options, ...words];
    const { stdout } = await runCommand(command, { cwd: repositoryRoot, timeoutMs: 120_000, ...options });
    return stdout.trim();
  }
}

/**
 * The images that the Dockerfile names, made of files of this machine: a registry is not to be had. Of Debian's it needs
 * a shell and `ln`; the other is, as its makers say, Debian's libc6 and data files.
 */
async function makeBases(buildah: Buildah, directory: TemporaryDirectory): Promise<void> {
  const busybox = Bun.which("busybox") ?? "";
  const bases = {
    "docker.io/library/debian:bookworm-slim": {
      programs: { "/bin/busybox": busybox },
      links: { "/bin/sh": "busybox", "/bin/ln": "busybox" },
    },
    "gcr.io/distroless/base-nossl-debian12:latest": { programs: {}, files: await listLibraries(executablePath) },
  };
  for (const [name, spec] of Object.entries(bases)) {
    const path = directory.join("base.tar");
    await writeImageArchive(path, [{ name, entrypoint: [], ...spec }]);
    const id = await buildah.run(["pull", `oci-archive:${path}`]);
    await buildah.run(["tag", id.split("\n").at(-1) ?? "", name]);
  }
}

await describeWith(["root", "executable", "tool:buildah", "tool:busybox", "tool:apt-get"], "deploy/Dockerfile", () => {
  test(
    "makes an image with the executable under its three names, which runs",
    async () => {
      await buildImage(thisArchitecture);
      await using directory = await createTemporaryDirectory();
      const buildah = new Buildah(directory);
      await makeBases(buildah, directory);
      const context = ["--ignorefile", "deploy/Dockerfile.dockerignore", "--file", "deploy/Dockerfile", "."];
      const build = ["build", "--isolation", "chroot", "--pull-never", "--tag", "localhost/tartan:docker"];
      await buildah.run([...build, "--build-arg", `TARGETARCH=${thisArchitecture}`, ...context]);

      const format = "{{.OCIv1.Config.Entrypoint}}";
      const entrypoint = await buildah.run([
        "inspect",
        "--type",
        "image",
        "--format",
        format,
        "localhost/tartan:docker",
      ]);
      expect(entrypoint).toBe("[/opt/bin/flanneld]");
      const container = await buildah.run(["from", "--pull-never", "localhost/tartan:docker"]);
      const run = ["run", "--isolation", "chroot", container, "--"];
      expect(await buildah.run([...run, "/opt/bin/tartan", "version"])).toStartWith(`tartan ${packageJson.version} (`);
      expect(await buildah.run([...run, "/opt/bin/flanneld", "--help"])).toContain("--kube-subnet-mgr");
      expect(await buildah.run([...run, "/opt/bin/install-cni", "--help"])).toContain("--only");
      const root = await buildah.run(["mount", container]);
      const { stdout } = await runCommand(["find", `${root}/opt/bin`, "-type", "f", "-o", "-type", "l"]);
      expect(
        stdout
          .trim()
          .split("\n")
          .map((path) => path.slice(root.length))
          .toSorted(),
      ).toEqual(["/opt/bin/flanneld", "/opt/bin/install-cni", "/opt/bin/tartan"]);
      await buildah.run(["umount", container]);
    },
    buildTimeoutMs,
  );
});
