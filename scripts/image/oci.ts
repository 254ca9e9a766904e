/** OCI images without a registry or a daemon: the image layout 1.0 in a tar archive (opencontainers/image-spec). */
import { gzipSync } from "node:zlib";
import { type TarEntry, writeTar } from "./tar.ts";

/** What an image is made of. */
export interface ImageSpec {
  /** The full name, under which containerd imports it. */
  readonly name: string;
  readonly architecture: string;
  readonly entrypoint: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** One list of files for each layer, the lowest first. */
  readonly layers: readonly (readonly TarEntry[])[];
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

interface Layer extends Blob {
  /** The digest of the archive before it was compressed. */
  readonly diffId: string;
}

const prefix = "application/vnd.oci.image";

/** The archive of one image, and the digest by which registries and runtimes know it. */
export async function writeImage(spec: ImageSpec): Promise<{ readonly archive: Uint8Array; readonly digest: string }> {
  const layers: Layer[] = [];
  for (const entries of spec.layers) layers.push(await makeLayer(entries));
  const config = jsonBlob("config.v1+json", {
    architecture: spec.architecture,
    os: "linux",
    config: { Entrypoint: spec.entrypoint, Env: ["PATH=/opt/bin"], WorkingDir: "/", Labels: spec.labels },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const manifest = jsonBlob("manifest.v1+json", {
    schemaVersion: 2,
    mediaType: `${prefix}.manifest.v1+json`,
    config: descriptor(config),
    layers: layers.map(descriptor),
  });
  const index = {
    schemaVersion: 2,
    mediaType: `${prefix}.index.v1+json`,
    manifests: [
      {
        ...descriptor(manifest),
        platform: { architecture: spec.architecture, os: "linux" },
        // The first is read by containerd, the second by the others.
        annotations: { "io.containerd.image.name": spec.name, "org.opencontainers.image.ref.name": spec.name },
      },
    ],
  };
  const files: TarEntry[] = [
    jsonFile("oci-layout", { imageLayoutVersion: "1.0.0" }),
    jsonFile("index.json", index),
    ...[manifest, config, ...layers].map(blobFile),
  ];
  return { archive: await writeTar(files), digest: manifest.digest };
}

async function makeLayer(entries: readonly TarEntry[]): Promise<Layer> {
  const tar = await writeTar(entries);
  const bytes = gzipSync(tar);
  return { mediaType: `${prefix}.layer.v1.tar+gzip`, digest: digestOf(bytes), diffId: digestOf(tar), bytes };
}

function jsonBlob(type: string, value: object): Blob {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { mediaType: `${prefix}.${type}`, digest: digestOf(bytes), bytes };
}

function descriptor({ mediaType, digest, bytes }: Blob): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size: bytes.length };
}

function blobFile({ digest, bytes }: Blob): TarEntry {
  return { kind: "file", path: `blobs/${digest.replace(":", "/")}`, mode: 0o644, content: bytes };
}

function jsonFile(path: string, value: object): TarEntry {
  return { kind: "file", path, mode: 0o644, content: new TextEncoder().encode(JSON.stringify(value)) };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
}
