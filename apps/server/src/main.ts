import { parseArgs } from 'node:util';
import { errorFields } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { openStore } from '@skerry/store';
import { destination, pino } from 'pino';
import { LocalHost } from './backends/local-host.ts';
import { readConfig } from './config.ts';
import { startServer } from './server.ts';

const stopWithinMs = 4500;

/** Runs the server until SIGTERM. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined)
    throw new Problem('invalid', 'The server needs "--config FILE"', {
      hint: '"skerry up" starts it with the right file.',
    });
  const config = readConfig(values.config);
  const log = pino({ name: 'server', level: config.logLevel, base: null }, destination({ fd: 2, sync: true }));
  process.umask(0o077);
  await using store = await openStore({ dialect: 'sqlite', file: config.databaseFile });
  using host = new LocalHost(config.hostSocket);
  const server = await startServer(config, store, host, log);
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  log.info({ instance: config.instance }, 'The server is ready');
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  log.info({ signal }, 'The server ends');
  setTimeout(() => process.exit(0), stopWithinMs).unref();
  await server[Symbol.asyncDispose]();
}

try {
  await main();
  process.exitCode = 0;
} catch (error) {
  const problem = Problem.from(error);
  process.stderr.write(
    `${JSON.stringify({ time: new Date().toISOString(), level: 'error', name: 'server', message: problem.message, hint: problem.hint, ...errorFields(error) })}\n`,
  );
  process.exitCode = 1;
}
