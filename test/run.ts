/**
 * Runs the tests: prepares the machine, runs `bun test`, looks for what the run left behind, and says how it went in
 * one closing line, `N passed, N failed` or `N passed, N failed, N skipped`. Arguments go to `bun test`: paths in place
 * of the three folders, or its options.
 */
import { randomHex, runIdVariable } from "./helpers/run-id.ts";
import { findLeaks, leakLines, listOwnDevices, removeLeaks } from "./helpers/leaks.ts";
import type { DeviceSnapshot } from "./helpers/leaks.ts";
import { repositoryRoot } from "./helpers/executable.ts";
import { closingLine, readCounts } from "./helpers/counts.ts";
import type { Counts } from "./helpers/counts.ts";
import { createTemporaryDirectory } from "./helpers/temp.ts";

const testFolders = ["./test/unit", "./test/netns", "./test/e2e"] as const;
const testTimeoutMs = 60_000;

/** A container or a namespace takes its time to go after the command that removed it. */
const settleMs = 5000;

const counts = await runAll(`tt${randomHex(3)}`, process.argv.slice(2));
process.stdout.write(`\n${closingLine(counts)}\n`);
process.exitCode = counts.failed === 0 ? 0 : 1;

async function runAll(runId: string, args: readonly string[]): Promise<Counts> {
  // Every child inherits it, the helpers read it.
  process.env[runIdVariable] = runId;
  const setup = await runBun(["test/setup.ts"]);
  if (setup.exitCode !== 0 && process.env["CI"] === "true") return { passed: 0, failed: 1, skipped: 0 };
  const devices = await listOwnDevices();
  const ran = await runTests(args);
  const left = await checkLeaks(runId, devices);
  return left === 0 ? ran : { ...ran, failed: ran.failed + 1 };
}

async function runTests(args: readonly string[]): Promise<Counts> {
  await using directory = await createTemporaryDirectory();
  const report = directory.join("report.xml");
  const paths = args.some((word) => !word.startsWith("-")) ? [] : testFolders;
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  const words = ["test", `--timeout=${testTimeoutMs}`, ...reporter, ...args, ...paths];
  const { exitCode, terminal } = await runBun(words);
  // Awaited, because the report goes with the directory.
  return await readCounts(report, terminal, exitCode);
}

/** The number of things left behind, after a while in which they may still go. They are shown and then removed. */
async function checkLeaks(runId: string, devices: DeviceSnapshot): Promise<number> {
  const deadline = Date.now() + settleMs;
  for (;;) {
    const leaks = await findLeaks(runId, devices);
    const lines = leakLines(leaks);
    if (lines.length === 0) return 0;
    if (Date.now() > deadline) {
      process.stdout.write(`\nThe tests left behind:\n${lines.map((line) => `  ${line}\n`).join("")}`);
      await removeLeaks(leaks);
      return lines.length;
    }
    await Bun.sleep(200);
  }
}

/** Runs bun and shows what it writes while it comes; the summary of bun test is on stderr. */
async function runBun(words: readonly string[]): Promise<{ readonly exitCode: number; readonly terminal: string }> {
  const child = Bun.spawn([process.execPath, ...words], {
    cwd: repositoryRoot,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "pipe",
    env: { ...process.env, ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}) },
  });
  // Ctrl-C reaches the child as well.
  process.on("SIGINT", stay);
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of child.stderr) {
      chunks.push(chunk);
      process.stderr.write(chunk);
    }
    return { exitCode: await child.exited, terminal: Buffer.concat(chunks).toString("utf8") };
  } finally {
    process.off("SIGINT", stay);
  }
}

/** What Ctrl-C does here: nothing, so that this process stays to look for what the tests left. */
function stay(): void {
  process.exitCode = 1;
}
