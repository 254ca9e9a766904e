import { expect, test } from "bun:test";
import { join } from "node:path";

import { runCommand } from "../../helpers/command.ts";

const open = `
  const output = await import(${JSON.stringify(join(import.meta.dir, "../../../src/sys/output.ts"))});
  const { standardStream, writeStream, writeError } = output;`;

test("writeStream() writes each text to its stream, in order", async () => {
  const script = `${open}
    writeStream(standardStream.output, "a ünïcode\\n");
    writeStream(standardStream.error, "b\\n");
    writeStream(standardStream.output, "");
    writeStream(standardStream.output, "c\\n");
    writeError("d\\n");`;
  const { stdout, stderr } = await runCommand([process.execPath, "-e", script]);
  expect({ stdout, stderr }).toEqual({ stdout: "a ünïcode\nc\n", stderr: "b\nd\n" });
});

test("writeStream() writes all of a long text to a slow reader, also when the stream does not wait", async () => {
  const libc = JSON.stringify(join(import.meta.dir, "../../../src/sys/libc.ts"));
  const script = `${open}
    const { rareLibc } = await import(${libc});
    // F_SETFL, O_NONBLOCK
    rareLibc().fcntl(1, 4, 0o4000);
    writeStream(standardStream.output, "0123456789".repeat(100_000));`;
  const { stdout } = await runCommand(["sh", "-c", '"$0" -e "$1" | { sleep 0.05; wc -c; }', process.execPath, script]);
  expect(Number(stdout)).toBe(1_000_000);
});

test("writeStream() throws when the reader has gone, writeError() does not", async () => {
  const script = `${open}
    const words = [];
    await Bun.sleep(100);
    writeError("unread");
    try { writeStream(standardStream.output, "unread"); } catch (error) { words.push(error.message); }
    await Bun.write(process.env.ANSWER, words.join("; "));`;
  const shell = 'ANSWER=$(mktemp); export ANSWER; { "$0" -e "$1" 2>&1 | true; }; cat "$ANSWER"; rm "$ANSWER"';
  const { stdout } = await runCommand(["sh", "-c", shell, process.execPath, script]);
  expect(stdout).toBe("Cannot write to a standard stream: broken pipe (EPIPE)");
});
