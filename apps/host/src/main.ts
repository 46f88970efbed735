/** The root daemon: `node apps/host/src/main.ts --config FILE`. Prints one line when it serves; SIGTERM ends it and leaves sandboxes running. */
import { createLog, errorFields } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { refuseLiveDaemon, serveHost } from './api/socket.ts';
import { readConfig } from './config.ts';
import { startHost } from './host.ts';
import { warnAboutOpenFiles } from './open-files.ts';

async function main(): Promise<void> {
  const config = await readConfig(process.argv.slice(2));
  const log = createLog('host', config.logLevel);
  process.umask(0o022);
  process.on('unhandledRejection', (error) => log.error('A promise was not awaited', errorFields(error)));
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  await refuseLiveDaemon(config.socketPath);
  await warnAboutOpenFiles(log);
  await using host = await startHost(config, log);
  await using _server = await serveHost(host, config.socketPath, log);
  process.stdout.write(`${JSON.stringify({ ready: true, hostId: host.hostId })}\n`);
  await ended;
  log.info('The host daemon ends; sandboxes go on');
}

try {
  await main();
  process.exit(0);
} catch (error) {
  const problem = Problem.from(error);
  createLog('host').error(problem.message, {
    code: problem.code,
    reason: problem.reason,
    hint: problem.hint,
    ...errorFields(error),
  });
  process.exit(1);
}
