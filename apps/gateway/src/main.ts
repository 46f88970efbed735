import { parseArgs } from 'node:util';
import { createLog, errorFields } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { readConfig } from './config.ts';
import { type Gateway, startGateway } from './gateway.ts';

/** `node main.ts --config FILE`: serves until SIGTERM. Prints `{"ready":true,"port":N}` when it does. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new Problem('invalid', 'Give the config file: --config FILE');
  const config = readConfig(values.config);
  const log = createLog('gateway', config.logLevel);
  // A connection that breaks in an unforeseen way must not take the others with it.
  process.on('uncaughtException', (error) => log.error('Something was not caught', errorFields(error)));
  process.on('unhandledRejection', (error) => log.error('A rejection was not handled', errorFields(error)));
  // Whoever reads the log may end first.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const gateway = await startGateway(config, log);
  process.stdout.write(`${JSON.stringify({ ready: true, port: gateway.port })}\n`);
  log.info('The gateway serves', { host: config.listenHost, port: gateway.port });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end(gateway));
}

async function end(gateway: Gateway): Promise<void> {
  await gateway[Symbol.asyncDispose]();
  process.exit(0);
}

main().catch((error: unknown) => {
  const problem = Problem.from(error);
  createLog('gateway').error(problem.message, { reason: problem.reason, hint: problem.hint, ...errorFields(error) });
  process.exit(1);
});
