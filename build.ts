/**
 * Builds dist/tartan, the one executable. The same commit gives the same bytes: nothing of the time, the place or the
 * machine goes in.
 *
 *     bun build.ts [--outdir=DIR]    build DIR/tartan, dist/tartan when left out
 *     bun build.ts --order           build, run a plugin, and write anew in which order its code is laid out
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import packageJson from "./package.json" with { type: "json" };

const root = import.meta.dir;
/** Which functions ADD and DEL run, in order: laid out so, they come in with fewer page faults. */
const orderFiles = [`${root}/bytecode-add.order`, `${root}/bytecode-del.order`];

function run(command: readonly string[], options: { readonly env?: Record<string, string> } = {}): string {
  const child = Bun.spawnSync([...command], {
    cwd: root,
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stderr: "pipe",
  });
  if (child.exitCode !== 0) {
    throw new Error(`Cannot run ${command.join(" ")}: exit ${child.exitCode}\n${child.stderr.toString()}`);
  }
  return child.stdout.toString().trim();
}

/** The commit that is checked out; `unknown` where there is no git or no repository, as in a released archive. */
export function commitName(): string {
  try {
    const commit = run(["git", "rev-parse", "--short=12", "HEAD"]);
    return run(["git", "status", "--porcelain"]) === "" ? commit : `${commit}-dirty`;
  } catch {
    return "unknown";
  }
}

/** Why each option: docs/architecture.md, "The executable". */
export const compileOptions: readonly string[] = [
  "--compile",
  "--minify",
  "--bytecode",
  "--format=esm",
  "--splitting",
  "--min-chunk-size=65536",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--compile-exec-argv=--disallow-code-generation-from-strings=strict",
  "--compile-jit-policy=1000",
];

/** Another machine to build for: Bun's name of it, and Bun's executable for it. */
interface OtherMachine {
  readonly target: string;
  readonly executable: string;
}

/** Builds OUTDIR/tartan, for this machine unless it is told another. */
export function build(outdir: string, other?: OtherMachine): void {
  mkdirSync(outdir, { recursive: true });
  const machine =
    other === undefined ? [] : [`--target=${other.target}`, `--compile-executable-path=${other.executable}`];
  run([
    process.execPath,
    "build",
    "src/main.ts",
    "src/plugins/seldom.ts",
    ...compileOptions,
    ...machine,
    ...orderFiles.filter((file) => existsSync(file)).map((file) => `--bytecode-order=${file}`),
    `--define=TARTAN_VERSION=${JSON.stringify(packageJson.version)}`,
    `--define=TARTAN_COMMIT=${JSON.stringify(commitName())}`,
    `--outfile=${outdir}/tartan`,
  ]);
}

/**
 * Runs an ADD and a DEL, what each pod costs, in namespaces of their own, and notes which functions they called: those of
 * ADD come first in the layout, for a pod waits for them.
 */
function writeOrder(outdir: string): void {
  for (const file of orderFiles) rmSync(file, { force: true });
  build(outdir);
  const directory = mkdtempSync(`${tmpdir()}/tartan-order-`);
  try {
    writeFileSync(
      `${directory}/subnet.env`,
      "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n",
    );
    const config = {
      cniVersion: "1.0.0",
      name: "cbr0",
      type: "flannel",
      subnetFile: `${directory}/subnet.env`,
      dataDir: `${directory}/flannel`,
      ipam: { dataDir: `${directory}/networks` },
      delegate: { hairpinMode: true, isDefaultGateway: true, ipMasq: false },
    };
    writeFileSync(`${directory}/config`, JSON.stringify(config));
    const steps = ['touch "$0/pod" && unshare --net="$0/pod" true'].concat(
      ["ADD", "DEL"].map((verb, index) => {
        return `CNI_COMMAND=${verb} BUN_BYTECODE_ORDER_OUT=${orderFiles[index]} "$1" flannel < "$0/config"`;
      }),
    );
    const env = { CNI_CONTAINERID: "order", CNI_IFNAME: "eth0", CNI_NETNS: `${directory}/pod`, CNI_PATH: "/" };
    run(["unshare", "--mount", "--net", "sh", "-e", "-c", steps.join("\n"), directory, `${outdir}/tartan`], { env });
  } finally {
    rmSync(directory, { recursive: true });
  }
  build(outdir);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { order: { type: "boolean" }, outdir: { type: "string", default: `${root}/dist` } },
  });
  if (values.order === true) writeOrder(values.outdir);
  else build(values.outdir);
}
