import { createHash } from "node:crypto";
import { copyFile, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { runCommand } from "../helpers/command.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import type { TemporaryDirectory } from "../helpers/temp.ts";

/** What an image is made of. */
export interface ImageSpec {
  /** With its tag, as a pod names it. */
  readonly name: string;
  /** The programs in it by their paths, each with the files of this machine that it is; their libraries come by themselves. */
  readonly programs: Readonly<Record<string, string>>;
  /** Symbolic links by their paths. */
  readonly links?: Readonly<Record<string, string>>;
  /** The texts of scripts by their paths. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** Other files of this machine, kept under their own paths. */
  readonly files?: readonly string[];
  readonly entrypoint: readonly string[];
}

/** A blob of an image archive. */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const architecture = process.arch === "arm64" ? "arm64" : "amd64";

/** Writes images, made of files of this machine, as one archive that containerd imports. No registry has a part in it. */
export async function writeImageArchive(path: string, images: readonly ImageSpec[]): Promise<void> {
  await using directory = await createTemporaryDirectory();
  const layout = await directory.directory("layout");
  await directory.directory("layout/blobs/sha256");
  const manifests = [];
  for (const image of images) {
    const manifest = await addImage(directory, image);
    const annotations = { "io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name };
    manifests.push({ ...manifest, annotations });
  }
  await directory.write("layout/oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await directory.write("layout/index.json", JSON.stringify({ schemaVersion: 2, manifests }));
  await runCommand(["tar", "--create", "--file", path, "--directory", layout, "."], { timeoutMs: 60_000 });
}

async function addImage(directory: TemporaryDirectory, image: ImageSpec): Promise<Descriptor> {
  await using root = await createTemporaryDirectory();
  await fillRoot(root, image);
  const layerPath = directory.join("layer.tar");
  const tar = ["tar", "--create", "--file", layerPath, "--owner=0", "--group=0", "--directory", root.path, "."];
  await runCommand(tar, { timeoutMs: 60_000 });
  const digest = await fileDigest(layerPath);
  const { size } = Bun.file(layerPath);
  await rename(layerPath, blobPath(directory, digest));
  const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size };
  const config = await addBlob(directory, "application/vnd.oci.image.config.v1+json", {
    architecture,
    os: "linux",
    config: { Entrypoint: image.entrypoint, Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] },
    rootfs: { type: "layers", diff_ids: [digest] },
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  return await addBlob(directory, mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
}

async function addBlob(directory: TemporaryDirectory, mediaType: string, value: unknown): Promise<Descriptor> {
  const text = JSON.stringify(value);
  const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
  await writeFile(blobPath(directory, digest), text);
  return { mediaType, digest, size: Buffer.byteLength(text) };
}

function blobPath(directory: TemporaryDirectory, digest: string): string {
  return directory.join("layout", "blobs", "sha256", digest.slice("sha256:".length));
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return `sha256:${hash.digest("hex")}`;
}

async function fillRoot(root: TemporaryDirectory, image: ImageSpec): Promise<void> {
  for (const name of ["etc", "tmp", "proc", "sys", "dev", "run"]) {
    await root.directory(name);
  }
  for (const [path, program] of Object.entries(image.programs)) {
    await copyInto(root, program, path);
    for (const library of await listLibraries(program)) await copyInto(root, library, library);
  }
  for (const [path, text] of Object.entries(image.scripts ?? {})) await root.write(path, text, 0o755);
  for (const path of image.files ?? []) await copyInto(root, path, path);
  for (const [path, target] of Object.entries(image.links ?? {})) {
    await mkdir(dirname(root.join(path)), { recursive: true });
    await symlink(target, root.join(path));
  }
}

async function copyInto(root: TemporaryDirectory, source: string, path: string): Promise<void> {
  await mkdir(dirname(join(root.path, path)), { recursive: true });
  await copyFile(source, join(root.path, path));
}

/** The paths of a program's shared libraries and its loader; none of a static one. */
export async function listLibraries(program: string): Promise<readonly string[]> {
  const { exitCode, stdout } = await runCommand(["ldd", program], { exitCode: "any" });
  if (exitCode !== 0) return [];
  return stdout.split("\n").flatMap((line) => /(?:^|=>)\s*(\/\S+)/.exec(line)?.[1] ?? []);
}
