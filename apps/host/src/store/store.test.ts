import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DiskSpace, roomAboveReserve } from './disk-space.ts';
import { parseMounts } from './mounts.ts';
import { SyncGate } from './sync-gate.ts';

test('parseMounts() reads mount points with blanks, bind mounts and optional fields', () => {
  const text = [
    '36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/root rw,errors=continue',
    '37 35 98:0 /x /mnt/c rw - btrfs /dev/loop0 rw',
    '',
  ].join('\n');
  assert.deepEqual(parseMounts(text), [
    { mountPoint: '/mnt/a b', root: '/', type: 'ext4', source: '/dev/root' },
    { mountPoint: '/mnt/c', root: '/x', type: 'btrfs', source: '/dev/loop0' },
  ]);
});

test('parseMounts() takes any text without throwing', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseMounts(text)));
});

test('roomAboveReserve() keeps 1 GiB free, or 2 % of a small file system', () => {
  const gibibyte = 1024 ** 3;
  assert.equal(
    roomAboveReserve({ bsize: 4096, blocks: (1000 * gibibyte) / 4096, bavail: (3 * gibibyte) / 4096 }),
    2 * gibibyte,
  );
  assert.ok(roomAboveReserve({ bsize: 4096, blocks: gibibyte / 4096, bavail: gibibyte / 100 / 4096 }) < 0);
  assert.ok(roomAboveReserve({ bsize: 4096, blocks: gibibyte / 4096, bavail: gibibyte / 10 / 4096 }) > 0);
});

test('freeBytes() is that of the fullest file system, and never negative', async () => {
  const both = await new DiskSpace(['/proc', '/']).freeBytes();
  assert.equal(both, 0);
  await assert.rejects(new DiskSpace(['/proc']).admit('a new disk'), { code: 'exhausted', status: 507 });
});

test('sync() of a gate runs one flush at a time and shares the next among all who came meanwhile', async () => {
  const flushes: PromiseWithResolvers<void>[] = [];
  const gate = new SyncGate(() => {
    const flush = Promise.withResolvers<void>();
    flushes.push(flush);
    return flush.promise;
  });
  const first = gate.sync();
  const later = [gate.sync(), gate.sync(), gate.sync()];
  assert.equal(flushes.length, 1);
  flushes[0]?.resolve();
  await first;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(flushes.length, 2);
  flushes[1]?.reject(new Error('no'));
  for (const one of later) await assert.rejects(one, /no/);
  void gate.sync();
  assert.equal(flushes.length, 3);
});
