import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BootReport, newId } from '@skerry/model';
import { BootFeed } from './boot-feed.ts';
import { Slots } from './slots.ts';

function report(state: BootReport['state'], bootId = newId('boot')): BootReport {
  return {
    bootId,
    sandboxId: newId('sandbox'),
    diskId: newId('disk'),
    state,
    engine: { name: 'fake', version: '1', build: '1', isolation: 'gvisor' },
    startedAtMs: 0,
  };
}

test('watch() keeps only the newest change of a boot for a watcher that does not read', async () => {
  const feed = new BootFeed();
  const abort = new AbortController();
  const first = report('starting');
  const watching = feed.watch(() => [first], abort.signal);
  assert.deepEqual((await watching.next()).value, { type: 'boot', boot: first });
  for (let change = 0; change < 1000; change++) feed.boot(report('running', first.bootId));
  feed.boot(report('ended', first.bootId));
  assert.deepEqual((await watching.next()).value, { type: 'synced' });
  const { value } = await watching.next();
  assert.equal(value?.type === 'boot' && value.boot.state, 'ended');
  feed.forgotten(first.bootId);
  assert.deepEqual((await watching.next()).value, { type: 'boot_forgotten', bootId: first.bootId });
  const last = watching.next();
  abort.abort();
  assert.equal((await last).done, true);
});

test('run() of slots lets only so many in at once, also when some fail', async () => {
  const slots = new Slots(2);
  let inside = 0;
  let most = 0;
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) =>
      slots.run(async () => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
        if (index % 3 === 0) throw new Error('no');
      }),
    ),
  );
  assert.equal(most, 2);
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 7);
});
