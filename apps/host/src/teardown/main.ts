/**
 * Ends and removes everything of an instance from the machine but its data: boots, control groups, network, mounts, loop device.
 * `node apps/host/src/teardown/main.ts --config FILE`. Nothing there is fine; it may be repeated. The daemon must not run.
 */
import { createLog, errorFields } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { refuseLiveDaemon } from '../api/socket.ts';
import { readConfig } from '../config.ts';
import { makeEngine, makeNetwork } from '../host.ts';
import { tearDown } from './tear-down.ts';

try {
  const config = await readConfig(process.argv.slice(2));
  const log = createLog('teardown', config.logLevel);
  await refuseLiveDaemon(config.socketPath);
  const ended = await tearDown(config, makeEngine(config, log), makeNetwork(config, log), log);
  process.stdout.write(`${JSON.stringify({ done: true, endedBoots: ended })}\n`);
  process.exit(0);
} catch (error) {
  const problem = Problem.from(error);
  createLog('teardown').error(problem.message, {
    code: problem.code,
    reason: problem.reason,
    hint: problem.hint,
    ...errorFields(error),
  });
  process.exit(1);
}
