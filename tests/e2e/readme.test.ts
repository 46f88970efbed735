import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tryCommand } from '@skerry/kit';

const checkout = fileURLToPath(new URL('../../', import.meta.url));

/** The commands of the README's `sh` blocks, in their order. */
async function readmeCommands(): Promise<string[]> {
  const text = await readFile(`${checkout}README.md`, 'utf8');
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((match) => (match[1] ?? '').trim().split('\n'));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test('every command of the README works as it stands there', async () => {
  const data = await mkdtemp('/var/tmp/skerry-readme-');
  const port = await freePort();
  const env = { ...process.env, SKERRY_DATA: data, SKERRY_LISTEN: `127.0.0.1:${port}`, NO_COLOR: '1' };
  const address = `http://127.0.0.1:${port}`;
  try {
    for (const command of await readmeCommands()) {
      if (command === 'npm test') continue; // This test is a part of it.
      const line = command === 'npm start' ? 'npm start -- --tour-only' : command.replaceAll('$SKERRY_URL', address);
      const result = await tryCommand('bash', ['-c', line], { cwd: checkout, env, deadlineMs: 300_000 });
      assert.equal(result.status, 0, `${line}\n${result.stdout}\n${result.stderr}`);
      assert.doesNotMatch(result.stdout, /"status":[45]\d\d/, line);
    }
  } finally {
    await tryCommand('bash', ['-c', './skerry down'], { cwd: checkout, env, deadlineMs: 120_000 });
    await rm(data, { recursive: true, force: true });
  }
});
