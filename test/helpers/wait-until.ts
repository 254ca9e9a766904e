/** Waits until `condition` answers true. Throws with `what` when it does not within the time. */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 5000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Cannot wait until ${what}: not so after ${timeoutMs} ms`);
    await Bun.sleep(5);
  }
}
