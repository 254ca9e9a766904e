import { FlagError, type GivenFlag } from "./flag-syntax.ts";

/** The flags as they were read, for what makes options of them. */
export class FlagValues {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #given: readonly GivenFlag[];

  constructor(values: Readonly<Record<string, unknown>>, given: readonly GivenFlag[]) {
    this.#values = values;
    this.#given = given;
  }

  /** The value of a flag that takes one, its default where it was not given. */
  text(name: string): string {
    const value = this.#values[name];
    return typeof value === "string" ? value : "";
  }

  /** True for a boolean flag that is set, or is so by default. */
  isSet(name: string, initial: boolean): boolean {
    const value = this.#values[name];
    return typeof value === "boolean" ? value : initial;
  }

  /** Every value that was given to a flag; an empty one gives nothing. */
  given(name: string): readonly string[] {
    return this.#given.filter((flag) => flag.name === name && flag.value !== "").map(({ value }) => value);
  }

  /** Throws a FlagError that says how the flag was given and what it should be. */
  wrong(name: string, wanted: string): never {
    const flag = this.#given.findLast((given) => given.name === name);
    const value = flag?.value ?? this.text(name);
    throw new FlagError(`Cannot use ${flag?.shown ?? `--${name}`} with value "${value}": it must be ${wanted}`);
  }
}
