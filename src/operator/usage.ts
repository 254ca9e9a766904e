/** A command line that is not understood: the program says so, and ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly command: string;

  constructor(command: string, problem: string) {
    super(problem);
    this.command = command;
  }
}
