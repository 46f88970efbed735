/** Set-up cannot go on. `message` says what happened, `hint` what the person at the machine can do. */
export class SetupFailure extends Error {
  readonly hint: string;

  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SetupFailure';
    this.hint = hint;
  }
}
