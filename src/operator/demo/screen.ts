/** A demonstration on the screen: numbered headings, what they mean, and state under the command people know it by. */
import { standardStream, writeStream } from "../../sys/output.ts";

const indent = "   ";

/** Escape sequences of ECMA-48, none where nobody would see a colour. */
interface Style {
  readonly strong: string;
  readonly quiet: string;
  readonly good: string;
  readonly bad: string;
  readonly end: string;
}

/** Writes a demonstration to the standard output. */
export class Screen {
  readonly #style: Style;
  #headings = 0;

  constructor(coloured: boolean) {
    this.#style = coloured
      ? { strong: "\u001b[1m", quiet: "\u001b[36m", good: "\u001b[32m", bad: "\u001b[31m", end: "\u001b[0m" }
      : { strong: "", quiet: "", good: "", bad: "", end: "" };
  }

  /** The demonstration's name. */
  title(text: string): void {
    this.#write(`${this.#style.strong}${text}${this.#style.end}\n`);
  }

  /** The next step. */
  heading(text: string, ...explanation: readonly string[]): void {
    this.#headings++;
    this.#write(`\n${this.#style.strong}${this.#headings}  ${text}${this.#style.end}\n`);
    for (const line of explanation) this.#write(`${indent}${line}\n`);
  }

  /** State, under who has it and the command that would show it. */
  block(where: string, command: string, lines: readonly string[]): void {
    this.#write(`\n${indent}${this.#style.quiet}${where}# ${command}${this.#style.end}\n`);
    for (const line of lines) this.#write(`${indent}${line}`.trimEnd() + "\n");
  }

  /** Lines of plain text. */
  text(...lines: readonly string[]): void {
    for (const line of lines) this.#write(`${indent}${line}`.trimEnd() + "\n");
  }

  /** How it went, at the end. */
  verdict(good: boolean, text: string): void {
    this.#write(`\n${good ? this.#style.good : this.#style.bad}${text}${this.#style.end}\n`);
  }

  #write(text: string): void {
    writeStream(standardStream.output, text);
  }
}

/** Whether to use colours: only on a terminal that can, and unless NO_COLOR asks for none (no-color.org). */
export function wantsColours(terminal: boolean, environment: Readonly<Record<string, string | undefined>>): boolean {
  const refused = (environment["NO_COLOR"] ?? "") !== "" || environment["TERM"] === "dumb";
  return terminal && !refused;
}
