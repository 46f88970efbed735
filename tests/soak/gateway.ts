/** The gateway's own memory test with its full counts: a GiB each way, beside 200 clients whose heads never come. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const test = join(import.meta.dirname, '../../apps/gateway/src/memory.test.ts');
const env = { ...process.env, SKERRY_SOAK: '1' };
const child = spawn(process.execPath, ['--test', test], { stdio: 'inherit', env });
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => child.kill(signal));
const [code] = (await once(child, 'exit')) as [number | null];
process.exitCode = code ?? 1;
