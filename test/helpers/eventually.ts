/**
 * Reads until the value is the one wanted, and returns what was read last, for the test to compare: after `timeoutMs` that
 * is another one, and the comparison shows the difference.
 */
export async function eventually<T>(read: () => T | Promise<T>, wanted: T, timeoutMs = 5000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (Bun.deepEquals(value, wanted) || Date.now() > deadline) return value;
    await Bun.sleep(50);
  }
}
