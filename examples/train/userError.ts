/** A mistake of the person at the keyboard, not of the program: it is shown as one line, without a stack. */
export class UserError extends Error {
  override readonly name = "UserError";
  /** What the process ends with. */
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What the operating system said, without its path and call: "no such file or directory". */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^[A-Z]+: /, "").replace(/, \w+( '.*')?$/, "");
}
