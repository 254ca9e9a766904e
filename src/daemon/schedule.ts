/** How long the first of several events waits for the others. */
const collectMs = 25;
/** A look without any event, for what the kernel tells nobody. */
const idleMs = 60_000;

/** How long a schedule rests after a look, so that a storm of events does not take a whole core. */
interface Rest {
  /** After a look that took t, the next one waits this many times t. */
  readonly factor: number;
  /** But no longer than this: what is damaged is put right within a second. */
  readonly longestMs: number;
}

/** A storm takes a tenth of a core at most. */
const usualRest: Rest = { factor: 10, longestMs: 500 };

/** One look at everything. Returns how many milliseconds later the next one is to be at the latest; undefined for none. */
export type Look = () => Promise<number | undefined>;

/**
 * Calls a look when it is asked to, never two at a time. An event only asks; the time of the look is set by the first
 * event after the last look, so that further ones neither add looks nor put them off.
 */
export class LookSchedule implements Disposable {
  readonly #look: Look;
  readonly #failed: (error: unknown) => void;
  readonly #rest: Rest;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Infinity;
  #running: Promise<void> | undefined;
  #asked: PromiseWithResolvers<void> | undefined;
  #restUntil = 0;
  #disposed = false;

  /** `failed` is told what a look threw; no further look is made then. */
  constructor(look: Look, failed: (error: unknown) => void, rest: Rest = usualRest) {
    this.#look = look;
    this.#failed = failed;
    this.#rest = rest;
  }

  /** True while a look is due: asking for another one would change nothing. */
  get asked(): boolean {
    return this.#asked !== undefined;
  }

  /** Asks for a look soon, at once where nothing is to be waited for. Cheap: to be called for each event. */
  ask({ atOnce = false }: { readonly atOnce?: boolean } = {}): void {
    if (this.#asked !== undefined) return;
    this.#asked = Promise.withResolvers();
    const wait = atOnce ? 0 : collectMs;
    if (this.#running === undefined) this.#set(Math.max(performance.now() + wait, this.#restUntil));
  }

  /** Settles when all that was asked for before has been looked at. */
  async settled(): Promise<void> {
    // The running look may have begun before the event that the caller knows of.
    await (this.#asked?.promise ?? this.#running);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    clearTimeout(this.#timer);
    this.#asked?.resolve();
  }

  #set(at: number): void {
    if (this.#disposed || at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(
      () => {
        this.#running = this.#run();
      },
      Math.max(0, at - performance.now()),
    );
  }

  async #run(): Promise<void> {
    const asked = this.#asked;
    this.#asked = undefined;
    this.#dueAt = Infinity;
    const start = performance.now();
    let latest: number | undefined;
    try {
      latest = await this.#look();
    } catch (error) {
      this.#disposed = true;
      this.#failed(error);
    }
    const end = performance.now();
    this.#running = undefined;
    this.#restUntil = end + Math.min((end - start) * this.#rest.factor, this.#rest.longestMs);
    asked?.resolve();
    this.#set(end + Math.min(Math.max(latest ?? idleMs, collectMs), idleMs));
    if (this.#nextAsked()) this.#set(Math.max(end + collectMs, this.#restUntil));
  }

  /** Read anew: it may have been asked while the look ran. */
  #nextAsked(): boolean {
    return this.#asked !== undefined;
  }
}
