/** What a stage found: tests of a test runner, or 1 for a tool that only says yes or no. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NONE: Counts = { passed: 0, failed: 0, skipped: 0 };

export function addCounts(one: Counts, other: Counts): Counts {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    skipped: one.skipped + other.skipped,
  };
}

/** The verdict of a tool that has no tests to count. */
export function verdict(good: boolean): Counts {
  return good ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/** What stages share: the clone, and what earlier stages made ready. */
export interface Suite {
  readonly repository: string;
  /** Fires at Ctrl-C. */
  readonly signal: AbortSignal;
  /** Variables for test programs; stages before add to it. */
  readonly env: Map<string, string>;
}

export interface Stage {
  readonly name: string;
  /** Needs what set-up builds, and Postgres. */
  readonly prepared: boolean;
  run(suite: Suite): Promise<Counts>;
}
