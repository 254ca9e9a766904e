import { expect, test } from "bun:test";
import { join } from "node:path";

import { formatLogLine } from "../../../src/sys/log.ts";
import { runCommand } from "../../helpers/command.ts";

test("formatLogLine() puts the level in front, in a column of its own", () => {
  expect(["info", "warn", "error"].map((level) => formatLogLine(level, "peer added"))).toEqual([
    "info  peer added\n",
    "warn  peer added\n",
    "error peer added\n",
  ]);
});

test("formatLogLine() makes one line of anything, and sends nothing to the terminal but text", () => {
  expect(formatLogLine("info", 'a\nb\r\u001b[31mred\u0000\u007f\u009b "ünïcode" 😀')).toBe(
    'info  a\\nb\\u000d\\u001b[31mred\\u0000\\u007f\\u009b "ünïcode" 😀\n',
  );
});

const open = `
  const { openLog } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/sys/log.ts"))});
  const log = openLog();`;

test("openLog() writes to standard error alone, a line for each event, repeated ones as well", async () => {
  const script = `${open} log.info("a"); log.warn("b"); log.error("c"); log.info("a"); log.info("a %s");`;
  const { stdout, stderr } = await runCommand([process.execPath, "-e", script]);
  expect({ stdout, stderr }).toEqual({ stdout: "", stderr: "info  a\nwarn  b\nerror c\ninfo  a\ninfo  a %s\n" });
});

test("a program goes on when nobody reads its log", async () => {
  const script = `${open} for (let count = 0; count < 1000; count++) log.info("x".repeat(100)); console.log("done");`;
  const shell = '{ "$0" -e "$1" 2>&3 | cat >&4; } 3>&1 4>&2 | true';
  const { stderr } = await runCommand(["sh", "-c", shell, process.execPath, script]);
  expect(stderr).toBe("done\n");
});
