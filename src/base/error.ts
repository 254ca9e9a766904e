/**
 * The message of an error and of all its causes, joined with `: `, on one line for people. When undoing a failed work
 * failed as well, both are told, the first failure first.
 */
export function errorText(error: unknown): string {
  if (error instanceof SuppressedError) {
    return `${errorText(error.suppressed)}; undoing it failed as well: ${errorText(error.error)}`;
  }
  const parts: string[] = [];
  let current: unknown = error;
  while (current instanceof Error) {
    parts.push(current.message);
    current = current.cause;
  }
  if (current !== undefined) parts.push(typeof current === "string" ? current : JSON.stringify(current));
  return parts.join(": ").replaceAll(/\s*\n\s*/g, " ");
}

/** Closes a switch over a union: a missing case is a compile error, a forged value a thrown one. */
export function unreachable(value: never): never {
  throw new Error(`Cannot go on: unexpected value "${String(value)}"`);
}
