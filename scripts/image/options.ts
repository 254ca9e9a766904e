import { parseArgs } from "node:util";
import { type Architecture, architectures } from "./architecture.ts";

/** What to make. */
interface ImageOptions {
  readonly name: string;
  readonly chosen: readonly Architecture[];
  /** The version of Debian's package; undefined for the newest. */
  readonly libc6: string | undefined;
}

/** What `npm run image` is asked for. */
type ImageRequest = ({ readonly kind: "make" } & ImageOptions) | { readonly kind: "help" };

/** What `npm run image -- --help` prints. */
export const imageUsage: string = `Usage: npm run image -- [OPTION]...

Writes the container images as OCI archives: dist/image-amd64.tar and dist/image-arm64.tar.

  --name=NAME        the image's full name, like registry.example.org/tartan:1.0 (default: localhost/tartan:VERSION)
  --arch=ARCH        amd64 or arm64, instead of both
  --libc6=VERSION    the version of Debian's package libc6 (default: the newest)
  --help             print this
`;

/** Host, path and tag as registries and runtimes take them (the distribution project's grammar of references). */
const imageName = /^[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+:\w[\w.-]{0,127}$/;

/** Reads the words behind `npm run image --`. Throws an Error that names what is wrong. */
export function parseImageOptions(args: readonly string[], defaultName: string): ImageRequest {
  const { values } = parseArgs({
    args: [...args],
    options: {
      name: { type: "string", default: defaultName },
      arch: { type: "string" },
      libc6: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) return { kind: "help" };
  const { name, arch, libc6 } = values;
  if (!imageName.test(name)) {
    throw new Error(`option "--name" is "${name}", wanted a full name like registry.example.org/tartan:1.0`);
  }
  const chosen = architectures.filter((one) => arch === undefined || one.name === arch);
  if (chosen.length === 0) throw new Error(`option "--arch" is "${arch ?? ""}", wanted amd64 or arm64`);
  return { kind: "make", name, chosen, libc6 };
}
