import { expect, test } from "bun:test";

import { ownNetnsIdentity } from "../../../src/sys/netns.ts";
import { findNetnsIdentityOf, listProcesses } from "../../../src/sys/process.ts";
import { waitUntil } from "../../helpers/wait-until.ts";

function findArgv(wanted: number): readonly string[] | undefined {
  return listProcesses().find(({ pid }) => pid === wanted)?.argv;
}

test("listProcesses() lists a program with its arguments while it runs, and not after", async () => {
  const argv = ["sleep", "1234567.5"];
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  // While the kernel sets up its memory, a program that is just being executed has no arguments yet.
  await waitUntil("it is listed", () => findArgv(child.pid) !== undefined);
  expect(findArgv(child.pid)).toEqual(argv);
  child.kill("SIGKILL");
  await child.exited;
  expect(findArgv(child.pid)).toBeUndefined();
});

test("listProcesses() lists no kernel threads", () => {
  const processes = listProcesses();
  expect(processes.some(({ pid }) => pid === process.pid)).toBe(true);
  expect(processes.filter(({ argv }) => argv.length === 0 || argv.join("") === "")).toEqual([]);
});

test("findNetnsIdentityOf() is that of a process, and undefined when there is none", () => {
  expect(findNetnsIdentityOf(process.pid)).toBe(ownNetnsIdentity());
  // Greater than the kernel's greatest process number, 2^22.
  expect(findNetnsIdentityOf(4_194_305)).toBeUndefined();
});
