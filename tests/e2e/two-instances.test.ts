import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Instance } from './instance.ts';

let first: Instance;
let second: Instance;
before(async () => {
  first = await Instance.start();
  second = await Instance.start();
});
after(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
});

test('two instances on one machine do not see each other, and one going down does not disturb the other', async () => {
  const here = await first.create({ name: 'same' });
  const there = await second.create({ name: 'same' });
  await first.sh('same', 'echo first > ~/mark; sync');
  await second.sh('same', 'echo second > ~/mark; sync');
  assert.equal((await second.api('GET', `/v1/sandboxes/${here.id}`)).status, 404);
  const foreign = await fetch(`${second.url}/v1/sandboxes`, { headers: { authorization: `Bearer ${first.key}` } });
  assert.equal(foreign.status, 401);
  assert.deepEqual((await first.api('GET', '/v1/garbage')).body['items'], []);
  const down = await second.down();
  assert.equal(down.status, 0, down.stderr);
  assert.equal(await first.sh('same', 'cat ~/mark'), 'first\n');
  assert.equal((await first.get(here.id)).lastExit, undefined);
  await second.up();
  await second.until(there.id, ['running']);
  assert.equal(await second.sh('same', 'cat ~/mark'), 'second\n');
});

test('a second up on the same data directory says that Skerry runs already', async () => {
  const again = await first.skerry(['up', '--detach', '--listen', `127.0.0.1:${first.port}`]);
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stdout + again.stderr, /already/i);
});

test('a port that is taken is named, and nothing is left behind', async () => {
  const { mkdtemp, rm } = await import('node:fs/promises');
  const data = await mkdtemp('/var/tmp/skerry-e2e-');
  const refused = await first.skerry(['up', '--detach', '--data', data, '--listen', `127.0.0.1:${first.port}`], {
    deadlineMs: 120_000,
  });
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, new RegExp(String(first.port)));
  const { tryCommand } = await import('@skerry/kit');
  assert.doesNotMatch((await tryCommand('cat', ['/proc/mounts'])).stdout, new RegExp(data));
  await rm(data, { recursive: true });
});
