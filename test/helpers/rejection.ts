/** The error that a promise is rejected with; throws when it is not rejected. */
export async function rejection(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  throw new Error("Cannot tell the rejection: the promise was fulfilled");
}
