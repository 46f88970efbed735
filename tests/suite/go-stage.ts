import { join } from 'node:path';
import { runChild } from './child.ts';
import { addCounts, type Counts, NONE, type Stage, verdict } from './stage.ts';

const GO_ENV: Readonly<Record<string, string>> = {
  GOTOOLCHAIN: 'local',
  GOFLAGS: '-mod=readonly -buildvcs=false',
  GOWORK: 'off',
};

interface GoEvent {
  readonly Action: string;
  readonly Package?: string;
  readonly Test?: string;
  readonly Output?: string;
}

/** Totals of `go test -json`. A package that fails without a failed test (it does not compile, it panics) counts as one failure. */
export function countGoTests(jsonLines: string): { counts: Counts; failures: string } {
  let counts = NONE;
  const output = new Map<string, string>();
  const failedTests = new Set<string>();
  let failures = '';
  for (const line of jsonLines.split('\n')) {
    if (!line.startsWith('{')) continue;
    const event = JSON.parse(line) as GoEvent;
    const place = event.Package ?? '';
    const key = `${place} ${event.Test ?? ''}`;
    if (event.Output !== undefined) output.set(key, (output.get(key) ?? '') + event.Output);
    const ended = event.Action === 'pass' || event.Action === 'fail' || event.Action === 'skip';
    if (!ended) continue;
    if (event.Action === 'fail') {
      failures += output.get(key) ?? '';
      if (event.Test === undefined && failedTests.has(place)) continue;
      failedTests.add(place);
      counts = addCounts(counts, { passed: 0, failed: 1, skipped: 0 });
    } else if (event.Test !== undefined) {
      counts = addCounts(
        counts,
        event.Action === 'pass' ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 0, skipped: 1 },
      );
    }
  }
  return { counts, failures };
}

export const goStage: Stage = {
  name: 'go',
  prepared: true,
  async run(suite) {
    const guest = join(suite.repository, 'guest');
    const options = { cwd: guest, env: GO_ENV, capture: true };
    const unformatted = await runChild(suite, 'gofmt', ['-l', '.'], options);
    if (unformatted.stdout !== '') process.stdout.write(`Not formatted by gofmt:\n${unformatted.stdout}`);
    const vetted = await runChild(suite, 'go', ['vet', './...'], { ...options, capture: false });
    const tested = await runChild(suite, 'go', ['test', '-json', '-count=1', './...'], options);
    const { counts, failures } = countGoTests(tested.stdout);
    process.stdout.write(failures);
    let total = addCounts(counts, verdict(unformatted.code === 0 && unformatted.stdout === ''));
    total = addCounts(total, verdict(vetted.code === 0));
    // A module whose tests were not found is not a module that passed.
    const silent = counts.failed === 0 && (tested.code !== 0 || counts.passed === 0);
    return silent ? addCounts(total, verdict(false)) : total;
  },
};
