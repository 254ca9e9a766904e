import type { FlagKind, FlagSpec } from "./flag-table.ts";
import { findFlag, flagTable } from "./flag-table.ts";

/** A command line or an environment that cannot be followed: the caller's mistake, exit 2. */
export class FlagError extends Error {
  override readonly name = "FlagError";
}

/** A flag that was given: on the command line as `--name`, or in the environment as `FLANNELD_NAME`. */
export interface GivenFlag {
  readonly name: string;
  /** In one form: booleans `true` or `false`, integers without sign or leading zeros. */
  readonly value: string;
  /** How it was given, for messages. */
  readonly shown: string;
}

/**
 * Reads a command line by the rules of Go's flag package: one dash or two, `=value` or the next word, booleans alone or
 * with `=value`. Unlike there, a word that is no flag is an error. Throws a FlagError.
 */
export function readFlagWords(words: readonly string[]): readonly GivenFlag[] {
  const given: GivenFlag[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const [, written, equals, inline] = /^--?([^-=][^=]*)(=)?([^]*)$/.exec(word) ?? [];
    // Go's package answers to both names.
    const name = written === "h" ? "help" : written;
    if (name === undefined) throw new FlagError(`Cannot use argument "${word}": it is no flag`);
    const spec = findFlag(name);
    if (spec === undefined) throw new FlagError(`Cannot use flag --${name}: there is none of that name`);
    const shown = `--${name}`;
    if (equals !== undefined) given.push(givenFlag(name, inline ?? "", { spec, shown }));
    else if (spec.kind === "boolean") given.push({ name, value: "true", shown });
    else {
      const next = words[++index];
      if (next === undefined) throw new FlagError(`Cannot use flag --${name}: its value is missing`);
      given.push(givenFlag(name, next, { spec, shown }));
    }
  }
  return given;
}

/** The flags that the environment gives: `FLANNELD_SUBNET_FILE` is --subnet-file. An empty one gives nothing. */
export function readFlagEnvironment(env: Readonly<Record<string, string | undefined>>): readonly GivenFlag[] {
  return Object.entries(flagTable).flatMap(([name, spec]) => {
    const shown = `FLANNELD_${name.toUpperCase().replaceAll("-", "_")}`;
    const value = env[shown];
    return value === undefined || value === "" ? [] : [givenFlag(name, value, { spec, shown })];
  });
}

function givenFlag(
  name: string,
  text: string,
  { spec, shown }: { readonly spec: FlagSpec; readonly shown: string },
): GivenFlag {
  const value = findValue(spec.kind, text);
  if (value === undefined) {
    const wanted = spec.kind === "boolean" ? "true or false" : "a whole number";
    throw new FlagError(`Cannot use ${shown} with value "${text}": it must be ${wanted}`);
  }
  return { name, value, shown };
}

/** The value in one form; undefined when it is not of the kind. Booleans are those of Go's strconv.ParseBool. */
function findValue(kind: FlagKind, text: string): string | undefined {
  if (kind === "boolean") {
    if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return "true";
    return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? "false" : undefined;
  }
  if (kind === "integer") return /^\d{1,15}$/.test(text) ? String(Number(text)) : undefined;
  return text;
}
