import { expect, test } from "bun:test";
import { LookSchedule } from "../../src/daemon/schedule.ts";

/** Looks that take so long, and when each began. */
class SlowLooks {
  readonly starts: number[] = [];
  overlapped = false;
  #running = 0;

  schedule(lookMs: number): LookSchedule {
    return new LookSchedule(
      async () => {
        this.starts.push(performance.now());
        this.overlapped ||= this.#running > 0;
        this.#running++;
        await Bun.sleep(lookMs);
        this.#running--;
        return undefined;
      },
      () => {},
    );
  }
}

test("LookSchedule makes one look for many events that come together", async () => {
  const looks = new SlowLooks();
  using schedule = looks.schedule(1);
  for (let event = 0; event < 1000; event++) schedule.ask();
  await schedule.settled();
  await Bun.sleep(100);
  expect(looks.starts).toHaveLength(1);
});

test("LookSchedule goes on looking during a storm of events, and does not look all the time", async () => {
  const looks = new SlowLooks();
  using schedule = looks.schedule(10);
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    schedule.ask();
    await Bun.sleep(1);
  }
  // A look of 10 ms is followed by 100 ms of rest.
  expect(looks.starts.length).toBeGreaterThanOrEqual(5);
  expect(looks.starts.length).toBeLessThanOrEqual(11);
  expect(looks.overlapped).toBe(false);
});

test("LookSchedule looks again for an event that came while it looked", async () => {
  const looks = new SlowLooks();
  using schedule = looks.schedule(50);
  schedule.ask();
  await Bun.sleep(60);
  expect(looks.starts).toHaveLength(1);
  schedule.ask();
  await schedule.settled();
  expect(looks.starts).toHaveLength(2);
});

test("LookSchedule looks again after the time that a look asks for", async () => {
  const waits = [40, undefined];
  let looks = 0;
  // oxlint-disable-next-line require-await -- a look is asynchronous
  using schedule = new LookSchedule(
    async () => waits[looks++],
    () => {},
  );
  schedule.ask();
  await Bun.sleep(250);
  expect(looks).toBe(2);
});

test("LookSchedule ends with a look that throws, and tells it", async () => {
  const failures: unknown[] = [];
  let looks = 0;
  using schedule = new LookSchedule(
    () => {
      looks++;
      return Promise.reject(new Error("Cannot go on"));
    },
    (error) => failures.push(error),
  );
  schedule.ask();
  await schedule.settled();
  schedule.ask();
  await Bun.sleep(100);
  expect([looks, failures]).toEqual([1, [new Error("Cannot go on")]]);
});
