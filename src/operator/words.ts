import { UsageError } from "./usage.ts";

/** The options of a command line. */
export interface Words {
  /** Those that have a value, by name; of several the last. */
  readonly values: ReadonlyMap<string, string>;
  /** Those that have none. */
  readonly flags: ReadonlySet<string>;
}

/** Reads options as `--name VALUE`, `--name=VALUE` and `--flag`. Throws a UsageError of the command for all else. */
export function readWords(
  command: string,
  args: readonly string[],
  known: { readonly values: readonly string[]; readonly flags: readonly string[] },
): Words {
  const values = new Map<string, string>();
  const flags = new Set<string>();
  const words = args.flatMap((word) => {
    const equals = word.indexOf("=");
    return word.startsWith("--") && equals > 0 ? [word.slice(0, equals), word.slice(equals + 1)] : [word];
  });
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (known.flags.includes(word)) flags.add(word);
    else if (!known.values.includes(word)) {
      throw new UsageError(command, `unknown ${word.startsWith("-") ? "option" : "argument"} "${word}"`);
    } else {
      const value = words[++index] ?? "";
      if (value === "") throw new UsageError(command, `option "${word}" needs a value`);
      values.set(word, value);
    }
  }
  return { values, flags };
}
