import { parseArgs } from 'node:util';
import { createLog, errorFields } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { ClientLimits } from './client-limits.ts';
import { readConfig } from './config.ts';
import { Resolver } from './resolver.ts';
import { openTcpFront } from './tcp-front.ts';
import { openUdpFront } from './udp-front.ts';
import { Upstreams } from './upstream.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new Problem('invalid', 'Egress needs --config FILE');
  const config = await readConfig(values.config);
  const log = createLog('egress', config.logLevel);
  // What one client brings about in an unforeseen way must not end the resolver of all.
  process.on('uncaughtException', (error) => log.error('something was not caught', errorFields(error)));
  process.on('unhandledRejection', (error) => log.error('a rejection was not handled', errorFields(error)));
  const limits = new ClientLimits();
  const resolver = new Resolver({ upstreams: new Upstreams(config.upstreams), limits, log });
  const udp = await openUdpFront(resolver, config.listenAddress, config.resolverPort);
  const tcp = await openTcpFront(resolver, limits, config.listenAddress, config.resolverPort);
  if (config.upstreams.length === 0) log.warn('this machine has no name server: every question fails');
  const end = (): void => {
    void Promise.all([udp[Symbol.asyncDispose](), tcp[Symbol.asyncDispose]()]).then(() => process.exit(0));
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  process.stdout.on('error', () => undefined);
  process.stdout.write(`${JSON.stringify({ ready: true, port: udp.port })}\n`);
  log.info('answering DNS', { address: config.listenAddress, port: udp.port, upstreams: config.upstreams.length });
}

main().catch((error: unknown) => {
  createLog('egress').error('egress could not start', errorFields(error));
  process.exit(1);
});
