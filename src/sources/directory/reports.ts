import { errorText } from "../../base/error.ts";

/** Tells of files that cannot be used: once, and again only when the file has another content. */
export class FileReports {
  readonly #report: (line: string) => void;
  /** By name what was in the file; broken files are few, so that their content is kept. */
  readonly #told = new Map<string, string>();

  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  /** `content` is undefined when the file cannot be read at all. */
  tell(name: string, content: string | undefined, error: Error): void {
    const line = errorText(error);
    const told = content ?? line;
    if (this.#told.get(name) === told) return;
    this.#told.set(name, told);
    this.#report(line);
  }

  /** The file is good again, or gone. */
  forget(name: string): void {
    this.#told.delete(name);
  }

  /** All other files of the same directory are gone. */
  forgetLeasesBut(names: ReadonlySet<string>): void {
    for (const name of this.#told.keys()) {
      if (!name.includes("/") && !names.has(name)) this.#told.delete(name);
    }
  }
}
