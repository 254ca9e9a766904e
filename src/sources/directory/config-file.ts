import { errorText } from "../../base/error.ts";
import { type NetworkConfig, parseNetworkConfig } from "../../lease/network-config.ts";
import { findText } from "../../sys/file.ts";
import { largestFile } from "./files.ts";
import type { FileReports } from "./reports.ts";

/** No lease can have this name, under which the configuration is reported. */
const reportName = "../config";

/** The file `config`: net-conf.json, and what it said when it was last good. */
export class ConfigFile {
  readonly #path: string;
  readonly #reports: FileReports;
  #text: string | undefined;
  #value: NetworkConfig | undefined;

  constructor(path: string, reports: FileReports) {
    this.#path = path;
    this.#reports = reports;
  }

  /** The last good configuration; the same object as long as the text is the same. */
  get value(): NetworkConfig | undefined {
    return this.#value;
  }

  /**
   * Reads the file again and returns why there is no configuration to be had from it. Where an earlier one stays in
   * force because the text is broken, that is reported instead. Throws a SyscallError.
   */
  read(): string | undefined {
    const text = findText(this.#path, largestFile);
    if (text === undefined) return `flannel config not found: no file "${this.#path}"`;
    if (text === this.#text) {
      this.#reports.forget(reportName);
      return undefined;
    }
    const what = `Cannot use the flannel config "${this.#path}"`;
    try {
      this.#value = parseNetworkConfig(text);
      this.#text = text;
      this.#reports.forget(reportName);
    } catch (error) {
      if (this.#value === undefined) return errorText(new Error(what, { cause: error }));
      this.#reports.tell(reportName, text, new Error(`${what}, the last good one stays in force`, { cause: error }));
    }
    return undefined;
  }
}
