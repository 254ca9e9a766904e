import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { runCommand } from "../helpers/command.ts";
import { executablePath, repositoryRoot } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { sandboxWords } from "../fuzz/sandbox.ts";

/** True in `npm run fuzz`: other inputs each time, and many. `npm test` has few, always the same. */
const everything = process.env["TARTAN_FUZZ"] === "all";
const seed = Number(process.env["TARTAN_FUZZ_SEED"] ?? (everything ? Date.now() % 1_000_000_007 : 1));

const laneCount = 2;
const chunkTimeoutMs = 500_000;
const timeoutMs = 1_800_000;

/** How the inputs reach the plugins, how many there are, and how many a worker takes before the next one starts. */
const ways = [
  { way: "here", claim: "through dispatch()", count: everything ? 150_000 : 6000, chunk: everything ? 10_000 : 3000 },
  { way: "executable", claim: "through the executable", count: everything ? 3000 : 200, chunk: everything ? 300 : 100 },
] as const;

/** Outcomes that show that the inputs reach far enough. */
const wantedOutcomes = [
  "ADD 0",
  "ADD 1",
  "ADD of a pair",
  "ADD of rules",
  "DEL 0",
  "DEL 1",
  "CHECK 1",
  "GC 0",
  "GC 1",
  "STATUS 0",
  "STATUS 1",
  "VERSION 0",
];

interface Share {
  readonly way: string;
  readonly from: number;
  readonly count: number;
}

await describeWith(
  ["root", "executable", "tool:unshare", "tool:nft", "link:veth", "link:bridge"],
  "mutated inputs",
  () => {
    for (const { way, claim, count, chunk } of ways) {
      test(
        `${count} ${claim}: none crashes or hangs, and what is printed is a result or an error`,
        async () => {
          const shares = Array.from({ length: Math.ceil(count / chunk) }, (_item, index) => index * chunk).values();
          const problems: string[] = [];
          const outcomes = new Map<string, number>();
          async function runLane(): Promise<void> {
            for (const from of shares) problems.push(...(await runShare({ way, from, count: chunk }, outcomes)));
          }
          await Promise.all(Array.from({ length: laneCount }, runLane));
          if (everything) process.stdout.write(`fuzz: seed ${seed}, ${count} ${claim}: ${describe(outcomes)}\n`);
          expect(problems).toEqual([]);
          for (const outcome of wantedOutcomes) expect([outcome, outcomes.get(outcome) ?? 0]).not.toEqual([outcome, 0]);
        },
        timeoutMs,
      );
    }
  },
);

/** Runs some inputs in a place of their own, adds up how they ended, and returns what was wrong. */
async function runShare({ way, from, count }: Share, outcomes: Map<string, number>): Promise<readonly string[]> {
  await using directory = await createTemporaryDirectory();
  const worker = join(repositoryRoot, "test/fuzz/worker.ts");
  const words = [process.execPath, worker, directory.path, way, String(seed), String(from), String(count)];
  try {
    const { stdout } = await runCommand(sandboxWords(directory.path, executablePath, words), {
      timeoutMs: chunkTimeoutMs,
    });
    return readLines(stdout, outcomes);
  } catch (error) {
    const at = await readFile(directory.join("at"), "utf8").catch(() => "none");
    const again = `bun test/fuzz/worker.ts: ${way}, seed ${seed}, input ${at.trim()}`;
    throw new Error(`Cannot get to the end of the inputs: ${again}`, { cause: error });
  }
}

/** Each line is a problem but for the one that counts outcomes, which has to be there. */
function readLines(text: string, outcomes: Map<string, number>): readonly string[] {
  const problems: string[] = [];
  let counted = false;
  for (const line of text.trimEnd().split("\n")) {
    const counts = new Decoder(parseJson(line)).field("outcomes");
    if (counts.absent) problems.push(`seed ${seed}: ${line.slice(0, 5000)}`);
    for (const [outcome, count] of Object.entries(counts.object() ?? {})) {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + Number(count));
    }
    counted ||= !counts.absent;
  }
  return counted ? problems : [...problems, "the worker did not get to its end"];
}

function describe(outcomes: ReadonlyMap<string, number>): string {
  return [...outcomes]
    .map(([outcome, count]) => `${outcome}: ${count}`)
    .toSorted()
    .join(", ");
}
