import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { GatewayConfig } from '@skerry/protocol';
import { parseConfig } from './config.ts';

const program = fileURLToPath(new URL('main.ts', import.meta.url));
const good: GatewayConfig = {
  version: 1,
  instance: 'test00',
  listenHost: '127.0.0.1',
  listenPort: 0,
  domain: 'skerry.localhost',
  apiSocket: '/nonexistent/api.sock',
  gatewaySocket: '/nonexistent/gateway.sock',
  logLevel: 'info',
};

interface Run {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

/** Runs the program, and `whenReady` once it has printed a line. */
async function run(
  directory: string,
  config: GatewayConfig,
  whenReady: (line: string, end: () => void) => void,
): Promise<Run> {
  const file = join(directory, `${Math.random()}.json`);
  await writeFile(file, JSON.stringify(config));
  const child = spawn(process.execPath, [program, '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk) => void (stderr += String(chunk)));
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
    if (stdout.endsWith('\n')) whenReady(stdout, () => void child.kill('SIGTERM'));
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { stdout, stderr, code };
}

test('main() says when it serves, refuses a port that is taken, and ends on SIGTERM', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gateway-main-'));
  try {
    let second: Promise<Run> | undefined;
    const first = await run(directory, good, (line, end) => {
      const { ready, port } = JSON.parse(line) as { ready: boolean; port: number };
      assert.ok(ready && port > 0);
      second = run(directory, { ...good, listenPort: port }, () => undefined).finally(end);
    });
    assert.equal(first.code, 0);
    const refused = await second;
    assert.equal(refused?.code, 1);
    assert.match(refused.stderr, /Cannot listen on 127\.0\.0\.1:\d+: another program uses this port/);
    assert.equal(refused.stdout, '');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('parseConfig() names what is wrong', () => {
  assert.deepEqual(parseConfig(JSON.stringify(good), 'f'), good);
  const cases: [unknown, RegExp][] = [
    [{ ...good, version: 2 }, /version is "2"/],
    [{ ...good, listenPort: 70_000 }, /listenPort/],
    [{ ...good, domain: '' }, /domain/],
    [{ ...good, logLevel: 'loud' }, /logLevel/],
    [null, /not an object/],
  ];
  for (const [config, message] of cases)
    assert.throws(() => parseConfig(JSON.stringify(config), 'f'), { reason: 'invalid_config', message });
  assert.throws(() => parseConfig('{', 'f'), /not JSON/);
});
