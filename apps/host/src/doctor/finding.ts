/** `pass`: as it should be · `warn`: Skerry works, with less · `fail`: Skerry does not work until it is mended. */
export type Verdict = 'pass' | 'warn' | 'fail';

/** One need of the machine, and what was found. */
export interface Finding {
  /** What was looked at, in a few words. */
  readonly need: string;
  readonly verdict: Verdict;
  /** What is there. */
  readonly found: string;
  /** What to do about it; always there unless it passes. */
  readonly remedy?: string;
}

/** What the checks are told of the instance that is to run here. */
export interface DoctorQuestion {
  readonly dataDir: string;
  readonly listenHost: string;
  readonly listenPort: number;
}

/** Looks at one part of the machine. It changes nothing, and never throws for something that is merely missing. */
export type Check = (question: DoctorQuestion) => Promise<readonly Finding[]>;

export function pass(need: string, found: string): Finding {
  return { need, verdict: 'pass', found };
}

export function warn(need: string, found: string, remedy: string): Finding {
  return { need, verdict: 'warn', found, remedy };
}

export function fail(need: string, found: string, remedy: string): Finding {
  return { need, verdict: 'fail', found, remedy };
}
