import type { FlagKind, FlagSpec } from "./flag-table.ts";
import { findFlag, flagTable } from "./flag-table.ts";

/** A command line or an environment that cannot be followed: the caller's mistake, exit 2. */
export class FlagError extends Error {
  override readonly name = "FlagError";
}

/** A flag that was given: on the command line as `--name`, or in the environment as `FLANNELD_NAME`. */
export interface GivenFlag {
  readonly name: string;
  /** In one form: booleans `true` or `false`, integers in decimal. */
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

/** What the environment says. */
export interface FlagEnvironment {
  readonly given: readonly GivenFlag[];
  /** A line for each value that is not of the flag's kind: as upstream, that is said and the value not used. */
  readonly notes: readonly string[];
}

/**
 * The flags that the environment gives: `FLANNELD_SUBNET_FILE` is --subnet-file. An empty one gives nothing. What only
 * prints something is not asked for that way: FLANNELD_VERSION may be anybody's.
 */
export function readFlagEnvironment(env: Readonly<Record<string, string | undefined>>): FlagEnvironment {
  const given: GivenFlag[] = [];
  const notes: string[] = [];
  for (const [name, spec] of Object.entries(flagTable)) {
    const shown = `FLANNELD_${name.toUpperCase().replaceAll("-", "_")}`;
    const text = env[shown] ?? "";
    if (text === "" || name === "version" || name === "help") continue;
    const value = findValue(spec.kind, text);
    if (value !== undefined) given.push({ name, value, shown });
    else notes.push(`${shown} with value "${text}" is not used: it must be ${wantedValue[spec.kind]}`);
  }
  return { given, notes };
}

function givenFlag(
  name: string,
  text: string,
  { spec, shown }: { readonly spec: FlagSpec; readonly shown: string },
): GivenFlag {
  const value = findValue(spec.kind, text);
  if (value === undefined) {
    throw new FlagError(`Cannot use ${shown} with value "${text}": it must be ${wantedValue[spec.kind]}`);
  }
  return { name, value, shown };
}

const wantedValue: Readonly<Record<FlagKind, string>> = {
  string: "a text",
  list: "a text",
  boolean: "true or false",
  integer: "a whole number",
  level: "a whole number",
};

/** The value in one form; undefined when it is not of the kind. Booleans are those of Go's strconv.ParseBool. */
function findValue(kind: FlagKind, text: string): string | undefined {
  if (kind === "boolean") {
    if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return "true";
    return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? "false" : undefined;
  }
  if (kind === "integer") return findInteger(text)?.toString();
  if (kind === "level") return /^[+-]?\d+$/.test(text) ? fitting(toBigInt(text), 32)?.toString() : undefined;
  return text;
}

/** As strconv.ParseInt reads it with base 0: `0x1F91`, `0o17`, `017`, `0b11`, `1_000`. */
function findInteger(text: string): bigint | undefined {
  const [, sign = "", digits = ""] = /^([+-]?)(.+)$/.exec(text) ?? [];
  const hex = /^0x(?:_?[\da-f])+$/i.test(digits);
  const octal = /^0o?(?:_?[0-7])+$/i.test(digits);
  const binary = /^0b(?:_?[01])+$/i.test(digits);
  const decimal = /^(?:0|[1-9](?:_?\d)*)$/.test(digits);
  if (!hex && !octal && !binary && !decimal) return undefined;
  const plain = digits.replaceAll("_", "").toLowerCase();
  return fitting(toBigInt(`${sign}${octal ? plain.replace(/^0o?/, "0o") : plain}`), 64);
}

/** BigInt takes a sign only before decimal digits. */
function toBigInt(text: string): bigint {
  const magnitude = BigInt(text.replace(/^[+-]/, ""));
  return text.startsWith("-") ? -magnitude : magnitude;
}

/** The number, undefined when a signed one of so many bits does not hold it. */
function fitting(value: bigint, bits: number): bigint | undefined {
  return BigInt.asIntN(bits, value) === value ? value : undefined;
}
