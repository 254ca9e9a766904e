import { createConsola, type ConsolaReporter } from "consola/core";
import { visibleText } from "../base/visible.ts";
import { Fd } from "./fd.ts";
import { writeAll } from "./file.ts";

/** What a program that goes on running tells people: one line for each event. */
export interface Log {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

/**
 * A log on standard error, one line for each event with its level in front: `info  peer 10.244.2.0/24 added`. No time:
 * journald and container runtimes put theirs before each line. Standard output stays free for what a program is asked
 * for (consola's own reporters write `info` there).
 */
export function openLog(): Log {
  const consola = createConsola({ level: 3, throttle: 0, reporters: [stderrReporter()] });
  return {
    info: (text): void => consola.info(text),
    warn: (text): void => consola.warn(text),
    error: (text): void => consola.error(text),
  };
}

/** The line of one event. Control characters, which may come from files of others, are shown, not sent to the terminal. */
export function formatLogLine(level: string, text: string): string {
  return `${level.padEnd(5)} ${visibleText(text)}\n`;
}

function stderrReporter(): ConsolaReporter {
  const stderr = new Fd(2);
  const encoder = new TextEncoder();
  return {
    log({ type, args }): void {
      try {
        writeAll(stderr, encoder.encode(formatLogLine(type, args.map(String).join(" "))), "standard error");
      } catch {
        // Nobody reads the log any more, or not fast enough: the network goes on without it.
      }
    },
  };
}
