import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";

import { cidrsOverlap, formatCidr } from "../../src/addr/cidr.ts";
import { findLeaseKey } from "../../src/lease/key.ts";
import { collectOutput, describeOutput } from "../helpers/command.ts";
import { createDirectoryStore, type DirectoryStore } from "../helpers/directory-store.ts";
import { usualConfig } from "../helpers/lease-store.ts";
import { childEnvironment } from "../helpers/run-id.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const processCount = 50;
const claimer = Bun.fileURLToPath(import.meta.resolve("../helpers/lease-claimer.ts"));

test("fifty processes that take a lease at once share none and lose none", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig(usualConfig);
  const keys = await claimAtOnce(store, () => usualConfig);
  expect(keys.filter((key) => findLeaseKey(key) === undefined)).toEqual([]);
  expect(new Set(keys).size).toBe(processCount);
  // Nothing lies there but the leases: no temporary file, and none that nobody holds.
  expect(await readdir(`${store.path}/subnets`).then((names) => names.toSorted())).toEqual(keys.toSorted());
  for (const [index, key] of keys.entries()) {
    expect(JSON.parse((await store.readLease(key)) ?? "")).toMatchObject({ PublicIP: publicIpOf(index) });
  }
});

test("fifty processes that take one of forty subnets at once take them all, and ten are told that none is left", async () => {
  await using store = await createDirectoryStore();
  const config = '{"Network":"10.244.0.0/16","SubnetMin":"10.244.1.0","SubnetMax":"10.244.40.0"}';
  await store.writeConfig(config);
  const keys = await claimAtOnce(store, () => config);
  const taken = keys.filter((key) => findLeaseKey(key) !== undefined);
  expect(taken.toSorted()).toEqual(Array.from({ length: 40 }, (_, index) => `10.244.${index + 1}.0-24`).toSorted());
  const left = keys.filter((key) => !taken.includes(key));
  expect(new Set(left)).toEqual(
    new Set([
      `none: Cannot take a lease from directory "${store.path}": ` +
        "Cannot choose a subnet from 10.244.1.0 to 10.244.40.0: out of subnets",
    ]),
  );
  expect(await store.keys()).toEqual(taken.toSorted());
});

test("fifty processes that go by two lengths take no subnets that overlap", async () => {
  await using store = await createDirectoryStore();
  const short = '{"Network":"10.244.0.0/16","SubnetMin":"10.244.32.0","SubnetMax":"10.244.128.0","SubnetLen":19}';
  const long = '{"Network":"10.244.0.0/16","SubnetLen":24}';
  await store.writeConfig(long);
  const keys = await claimAtOnce(store, (index) => (index % 8 === 0 ? short : long));
  const subnets = keys.flatMap((key) => findLeaseKey(key)?.[4] ?? []);
  for (const [index, subnet] of subnets.entries()) {
    const overlapping = subnets.slice(index + 1).filter((other) => cidrsOverlap(subnet, other));
    expect([formatCidr(subnet), overlapping.map(formatCidr)]).toEqual([formatCidr(subnet), []]);
  }
  const taken = keys.filter((key) => findLeaseKey(key) !== undefined);
  expect(await store.keys()).toEqual(taken.toSorted());
  // A long one always finds room beside the four short ones; a short one may find all four touched.
  expect(taken.filter((key) => key.endsWith("-24"))).toHaveLength(keys.filter((_, index) => index % 8 !== 0).length);
});

/** What each of the processes took, or why it took nothing: all are started, and wait, before the first may begin. */
async function claimAtOnce(store: DirectoryStore, configOf: (index: number) => string): Promise<readonly string[]> {
  const processes = Array.from({ length: processCount }, (_, index) => {
    const child = Bun.spawn([process.execPath, claimer, store.path, publicIpOf(index), configOf(index)], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env: childEnvironment(),
    });
    return { child, stdout: collectOutput(child.stdout), stderr: collectOutput(child.stderr) };
  });
  try {
    await waitUntil("all are ready", () => processes.every(({ stdout }) => stdout.text() !== ""), 60_000);
    for (const { child } of processes) void child.stdin.end();
    await waitUntil("all have ended", () => processes.every(({ child }) => child.exitCode !== null), 60_000);
    return await Promise.all(
      processes.map(async ({ child, stdout, stderr }) => {
        await Promise.all([stdout.ended, stderr.ended]);
        const [ready, key, ...more] = stdout.text().trimEnd().split("\n");
        if (child.exitCode === 0 && ready === "ready" && key !== undefined && more.length === 0) return key;
        throw new Error(`Cannot read what was taken\n${describeOutput(stdout.text(), stderr.text())}`);
      }),
    );
  } finally {
    for (const { child } of processes) child.kill("SIGKILL");
  }
}

function publicIpOf(index: number): string {
  return `192.168.7.${index + 1}`;
}
