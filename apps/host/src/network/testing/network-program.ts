/** A network in a process of its own, which tests drive by JSON lines `{id, call, args}` and may kill at any time. */
import { createInterface } from 'node:readline';
import { createLog } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { createNetwork, type NetworkOptions } from '../network.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as Omit<NetworkOptions, 'log'>;
const network = createNetwork({ ...options, log: createLog('network') });

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, args } = JSON.parse(line) as { id: number; call: keyof typeof network; args: unknown[] };
  const work = network[call] as (...args: unknown[]) => Promise<unknown>;
  work.apply(network, args).then(
    (result) => process.stdout.write(`${JSON.stringify({ id, result: result ?? null })}\n`),
    (error: unknown) => {
      const { code, reason, message, hint, context } = Problem.from(error);
      process.stdout.write(`${JSON.stringify({ id, problem: { code, reason, message, hint, context } })}\n`);
    },
  );
}
