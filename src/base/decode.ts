/**
 * Decoding of JSON that somebody else wrote, with the meaning Go's encoding/json gives it, because the configurations
 * of CNI and flannel were written for Go programs: keys match whatever their case, of several the last wins, `null`
 * leaves the default, a value of the wrong type is an error. Every error names the path of what is wrong. What would cost
 * every start of a plugin a reading of its own stays as JSON.parse has it: of keys that are equal to the letter the last
 * value stands in the first one's place, also a `null`; `1400.0` is a whole number; nesting has no limit.
 */

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object with its keys as written. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Input that does not have the form it must have; `path` says where. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly path: string;

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`Cannot read ${path === "" ? "the document" : `"${path}"`}: ${problem}`, options);
    this.path = path;
  }
}

/** One value of a document together with the path to it; the path is "" for the document itself. */
export class Decoder {
  readonly value: Json | undefined;
  readonly path: string;

  constructor(value: Json | undefined, path = "") {
    this.value = value;
    this.path = path;
  }

  /** True when the value is absent or `null`: the default holds. */
  get absent(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** The member of this object whose key is `key` in any case; an absent one when this is absent itself. */
  field(key: string): Decoder {
    const path = this.path === "" ? key : `${this.path}.${key}`;
    const object = this.object();
    if (object === undefined) return new Decoder(undefined, path);
    const wanted = key.toLowerCase();
    let found: Json | undefined;
    for (const name of Object.keys(object)) {
      const value = object[name];
      if (value !== null && name.length === key.length && name.toLowerCase() === wanted) found = value;
    }
    return new Decoder(found, path);
  }

  /** The object, or undefined when absent. */
  object(): JsonObject | undefined {
    if (this.absent) return undefined;
    return isJsonObject(this.value) ? this.value : this.fail("an object");
  }

  /** The elements of an array, none when absent. */
  list(): readonly Decoder[] {
    if (this.absent) return [];
    const { value } = this;
    if (!isJsonArray(value)) return this.fail("a list");
    return value.map((item, index) => new Decoder(item, `${this.path}[${index}]`));
  }

  string(): string | undefined {
    if (this.absent) return undefined;
    return typeof this.value === "string" ? this.value : this.fail("a string");
  }

  boolean(): boolean | undefined {
    if (this.absent) return undefined;
    return typeof this.value === "boolean" ? this.value : this.fail("true or false");
  }

  /** A whole number in the range given, both ends included. */
  integer(minimum: number = Number.MIN_SAFE_INTEGER, maximum: number = Number.MAX_SAFE_INTEGER): number | undefined {
    if (this.absent) return undefined;
    const { value } = this;
    if (typeof value !== "number" || !Number.isInteger(value)) return this.fail("a whole number");
    if (value < minimum || value > maximum) {
      throw new DecodeError(this.path, `${value} is not between ${minimum} and ${maximum}`);
    }
    return value;
  }

  /** Like integer() from 0 on, but a whole number below 0 counts as absent, as the reference's library for netlink has it. */
  natural(maximum: number): number | undefined {
    const { value } = this;
    return typeof value === "number" && value < 0 && Number.isInteger(value) ? undefined : this.integer(0, maximum);
  }

  /** Throws a DecodeError that says what the value should be and what it is. */
  fail(wanted: string): never {
    throw new DecodeError(this.path, `it must be ${wanted}, and is ${describe(this.value)}`);
  }
}

/** Parses JSON text. Throws a DecodeError whose cause is the parser's own error. */
export function parseJson(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (isJson(value)) return value;
  } catch (error) {
    throw new DecodeError("", "it is not JSON", { cause: error });
  }
  throw new DecodeError("", "it is empty");
}

/** True for an object that is neither null nor an array. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** JSON.parse makes nothing but JSON values, so that only its type has to be told. */
function isJson(value: unknown): value is Json {
  return value !== undefined;
}

function isJsonArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function describe(value: Json | undefined): string {
  if (value === undefined || value === null) return "absent";
  if (typeof value === "string") return `the string ${JSON.stringify(value)}`;
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "an object";
  return `the ${typeof value} ${String(value)}`;
}
