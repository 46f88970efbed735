import { findTests, runNodeTests } from './node-tests.ts';
import type { Stage } from './stage.ts';

/** Not unit tests: they need real kernel objects, or long. */
const NOT_UNIT = /\.(real|soak)\.test\.ts$/;
const MINUTE_MS = 60_000;

const unit: Stage = {
  name: 'unit',
  prepared: true,
  run(suite) {
    const patterns = [
      'packages/*/src/**/*.test.ts',
      'apps/*/src/**/*.test.ts',
      'setup/**/*.test.ts',
      'tests/suite/**/*.test.ts',
    ];
    const files = findTests(suite, patterns, NOT_UNIT);
    return runNodeTests(suite, files, { concurrency: 2, fileTimeoutMs: 1.5 * MINUTE_MS });
  },
};

/** Tests that need root and real kernel objects: one file at a time, for they share the machine. */
const real: Stage = {
  name: 'real',
  prepared: true,
  run(suite) {
    const files = findTests(suite, [
      'packages/*/src/**/*.real.test.ts',
      'apps/*/src/**/*.real.test.ts',
      'setup/**/*.real.test.ts',
      'tests/power/*.real.test.ts',
    ]);
    return runNodeTests(suite, files, { concurrency: 1, fileTimeoutMs: 3 * MINUTE_MS });
  },
};

const e2e: Stage = {
  name: 'e2e',
  prepared: true,
  run(suite) {
    const files = findTests(suite, ['tests/e2e/*.test.ts']);
    return runNodeTests(suite, files, { concurrency: 1, fileTimeoutMs: 12 * MINUTE_MS });
  },
};

export { e2e, real, unit };
