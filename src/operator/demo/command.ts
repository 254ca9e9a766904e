import { leftovers, removeDemo } from "./removal.ts";
import { runDemo } from "./demo.ts";
import { demoUsage, parseDemoOptions } from "./options.ts";
import { listIds, placeOf } from "./place.ts";
import { standardStream, writeStream } from "../../sys/output.ts";

/** `tartan demo`; returns the exit code. Throws a UsageError, or an Error that says what is missing. */
export async function demoCommand(args: readonly string[]): Promise<number> {
  const request = parseDemoOptions(args);
  if (request.kind === "help") {
    writeStream(standardStream.output, demoUsage);
    return 0;
  }
  if (process.geteuid?.() !== 0) {
    throw new Error("Cannot run the demo: it makes network namespaces, which only root may do");
  }
  if (request.kind === "show") return await runDemo(request.keep);
  await removeById(request.id);
  return 0;
}

async function removeById(id: string): Promise<void> {
  const place = placeOf(id);
  if (leftovers(place).length === 0) {
    const ids = listIds();
    const there = ids.length === 0 ? "there is no demo at all" : `there are ${ids.join(", ")}`;
    throw new Error(`Cannot remove demo "${id}": it does not exist; ${there}`);
  }
  await removeDemo(place);
  writeStream(standardStream.output, `Demo ${id} is removed.\n`);
}
