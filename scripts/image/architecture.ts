/** The machines that images are made for, under Debian's names, which are the OCI's as well. */

/** What is called differently for each machine. */
export interface Architecture {
  readonly name: "amd64" | "arm64";
  /** How Node.js calls it. */
  readonly node: string;
  /** The npm package that holds Bun's executable. */
  readonly bunPackage: string;
  /** Bun's name of the target. */
  readonly bunTarget: string;
  /** Where a program names its loader (the ABI). */
  readonly loader: string;
  /** Where Debian's loader looks for libraries. */
  readonly libraries: string;
}

/** All of them. */
export const architectures: readonly Architecture[] = [
  {
    name: "amd64",
    node: "x64",
    bunPackage: "@oven/bun-linux-x64",
    bunTarget: "bun-linux-x64",
    loader: "lib64/ld-linux-x86-64.so.2",
    libraries: "lib/x86_64-linux-gnu",
  },
  {
    name: "arm64",
    node: "arm64",
    bunPackage: "@oven/bun-linux-aarch64",
    bunTarget: "bun-linux-arm64",
    loader: "lib/ld-linux-aarch64.so.1",
    libraries: "lib/aarch64-linux-gnu",
  },
];
