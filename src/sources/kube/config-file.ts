import { DecodeError, isJsonObject, parseJson } from "../../base/decode.ts";
import { errorText } from "../../base/error.ts";
import { notReadYet } from "../../lease/lease.ts";
import { type NetworkConfig, parseNetworkConfig } from "../../lease/network-config.ts";
import { findText } from "../../sys/file.ts";
import { DirectoryWatcher, inotify } from "../../sys/watch.ts";

/** How long events are collected: a ConfigMap that changes makes several. */
const collectMs = 20;
/** How often to look where nothing can be watched, such as a directory that is not there yet. */
const retryMs = 1000;
const { IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_IGNORED, IN_MOVED_FROM, IN_MOVED_TO, IN_MOVE_SELF } =
  inotify;
const anything = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;

/**
 * net-conf.json, followed as it changes. The kubelet changes a ConfigMap's files by turning a symbolic link beside them to
 * another directory, which shows as an event of the directory that the path names, and only there.
 */
export class NetConfFile implements Disposable {
  readonly #path: string;
  readonly #report: (line: string) => void;
  #watcher: DirectoryWatcher | undefined;
  #changed: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Infinity;
  #text: string | undefined;
  #value: NetworkConfig | undefined;
  #problem: string | undefined = notReadYet;
  #told: string | undefined;

  constructor(path: string, report: (line: string) => void) {
    this.#path = path;
    this.#report = report;
  }

  /** The last good configuration; the same object as long as the text is the same. */
  get value(): NetworkConfig | undefined {
    return this.#value;
  }

  /** Why there is none; undefined when there is one. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Reads the file, and calls back when it has become another one. */
  start(changed: () => void): void {
    this.#changed = changed;
    this.#arm();
    this.#read();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#changed = undefined;
    this.#watcher?.[Symbol.dispose]();
    this.#watcher = undefined;
  }

  #arm(): void {
    this.#watcher?.[Symbol.dispose]();
    this.#watcher = undefined;
    const slash = this.#path.lastIndexOf("/");
    const directory = slash < 0 ? "." : this.#path.slice(0, slash) || "/";
    const watcher = new DirectoryWatcher();
    try {
      watcher.add(directory, anything, ({ mask }) => {
        const lost = (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) !== 0;
        if (lost && this.#watcher === watcher) {
          watcher[Symbol.dispose]();
          this.#watcher = undefined;
        }
        this.#lookIn(collectMs);
      });
      this.#watcher = watcher;
    } catch {
      watcher[Symbol.dispose]();
      this.#lookIn(retryMs);
    }
  }

  /** The sooner of two times counts: an event does not wait for a retry. */
  #lookIn(milliseconds: number): void {
    const dueAt = performance.now() + milliseconds;
    if (dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => {
      this.#dueAt = Infinity;
      if (this.#watcher === undefined) this.#arm();
      this.#read();
    }, milliseconds);
  }

  #read(): void {
    const [value, problem] = [this.#value, this.#problem];
    this.#problem = this.#readOnce();
    // Without it every start ends here, so that what appears beside the watch must be found.
    if (this.#problem !== undefined) this.#lookIn(retryMs);
    if (value !== this.#value || problem !== this.#problem) this.#changed?.();
  }

  #readOnce(): string | undefined {
    const what = `Cannot use the flannel config "${this.#path}"`;
    let text: string | undefined;
    try {
      text = findText(this.#path);
      if (text === undefined) {
        return this.#value === undefined ? `flannel config not found: no file "${this.#path}"` : undefined;
      }
      if (text === this.#text) return undefined;
      this.#value = this.#parse(text);
      this.#text = text;
      return undefined;
    } catch (error) {
      if (this.#value === undefined) return errorText(new Error(what, { cause: error }));
      this.#tell(errorText(new Error(`${what}, the last good one stays in force`, { cause: error })));
      return undefined;
    }
  }

  /** Upstream does not even look at the sizes of subnets where Kubernetes hands them out. */
  #parse(text: string): NetworkConfig {
    try {
      return parseNetworkConfig(text);
    } catch (error) {
      if (!(error instanceof DecodeError) || !sizeKey.test(error.path)) throw error;
      const document = parseJson(text);
      if (!isJsonObject(document)) throw error;
      const kept = Object.fromEntries(Object.entries(document).filter(([key]) => !sizeKey.test(key)));
      const config = parseNetworkConfig(JSON.stringify(kept));
      this.#tell(
        `"${error.path}" of the flannel config "${this.#path}" is wrong and not used: nodes have the pod CIDRs that Kubernetes gives them`,
      );
      return config;
    }
  }

  #tell(line: string): void {
    if (this.#told === line) return;
    this.#told = line;
    this.#report(line);
  }
}

const sizeKey = /^(?:IPv6)?Subnet(?:Len|Min|Max)$/i;
