/**
 * Writes the container images as OCI archives: dist/image-amd64.tar and dist/image-arm64.tar. In each the executable, and
 * of Debian's package libc6 the loader and the libraries it is linked with; no shell, nothing else. The same commit and
 * the same version of libc6, which is printed, give the same bytes. Also leaves each executable in dist/ARCHITECTURE.
 *
 *     bun scripts/image.ts [--name=NAME] [--arch=amd64|arm64] [--libc6=VERSION]
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { build, commitName } from "../build.ts";
import packageJson from "../package.json" with { type: "json" };
import { errorText } from "../src/base/error.ts";
import type { Architecture } from "./image/architecture.ts";
import { fetchBun } from "./image/bun-executable.ts";
import { fetchLibc } from "./image/libc.ts";
import { writeImage } from "./image/oci.ts";
import { imageUsage, parseImageOptions } from "./image/options.ts";
import type { TarEntry } from "./image/tar.ts";

const root = `${import.meta.dir}/..`;

const request = readRequest();
if (request?.kind === "help") process.stdout.write(imageUsage);
if (request?.kind === "make") for (const architecture of request.chosen) await makeImage(architecture, request);

/** Undefined, and told, for words that are not understood. */
function readRequest(): ReturnType<typeof parseImageOptions> | undefined {
  try {
    return parseImageOptions(process.argv.slice(2), `localhost/tartan:${packageJson.version}`);
  } catch (error) {
    process.stderr.write(`npm run image: ${errorText(error)}\n\n${imageUsage}`);
    process.exitCode = 2;
    return undefined;
  }
}

async function makeImage(
  architecture: Architecture,
  { name, libc6 }: { readonly name: string; readonly libc6: string | undefined },
): Promise<void> {
  const outdir = `${root}/dist/${architecture.name}`;
  if (architecture.node === process.arch) build(outdir);
  else build(outdir, { target: architecture.bunTarget, executable: fetchBun(architecture, root) });
  const libc = await fetchLibc(architecture, libc6);
  const { archive, digest } = await writeImage({
    name,
    architecture: architecture.name,
    entrypoint: ["/opt/bin/flanneld"],
    labels: {
      "org.opencontainers.image.title": packageJson.name,
      "org.opencontainers.image.description": packageJson.description,
      "org.opencontainers.image.version": packageJson.version,
      "org.opencontainers.image.revision": commitName(),
    },
    // The library changes less often than the executable, and is then not sent again.
    layers: [libc.entries, programs(readFileSync(`${outdir}/tartan`))],
  });
  const path = `dist/image-${architecture.name}.tar`;
  // A reader never sees half of it.
  writeFileSync(`${root}/${path}.new`, archive);
  renameSync(`${root}/${path}.new`, `${root}/${path}`);
  const size = (archive.length / 1e6).toFixed(1);
  process.stdout.write(`${path}: ${name}, ${size} MB, libc6 ${libc.version}, ${digest}\n`);
}

/** Where upstream's image has flanneld, so that manifests written for it find it. */
function programs(executable: Uint8Array): readonly TarEntry[] {
  return [
    { kind: "file", path: "opt/bin/tartan", mode: 0o755, content: executable },
    { kind: "link", path: "opt/bin/flanneld", target: "tartan" },
    { kind: "link", path: "opt/bin/install-cni", target: "tartan" },
  ];
}
