import { runCommand } from "./command.ts";
import type { TemporaryDirectory } from "./temp.ts";

/** The name under which the image is imported. */
export const busyboxImage = "tartan.test/busybox:latest";

/** The program in the image; its first argument is the applet. */
export const busyboxPath = "/bin/busybox";

/**
 * Builds an OCI image that holds nothing but a static busybox, and returns its archive. No registry is asked for
 * anything.
 */
export async function buildBusyboxImage(directory: TemporaryDirectory): Promise<string> {
  const busybox = Bun.which("busybox");
  if (busybox === null) throw new Error('Cannot build the image: there is no "busybox" on PATH');
  const layout = directory.join("busybox-image");
  const archive = directory.join("busybox-image.tar");
  const image = ["--image", `${layout}:latest`];
  await runCommand(["umoci", "init", "--layout", layout]);
  await runCommand(["umoci", "new", ...image]);
  await runCommand(["umoci", "insert", ...image, busybox, busyboxPath]);
  await runCommand(["umoci", "config", ...image, "--config.entrypoint", busyboxPath]);
  await runCommand(["tar", "--create", "--directory", layout, "--file", archive, "."]);
  return archive;
}
