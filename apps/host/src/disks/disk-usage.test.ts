import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseQuotas } from '../store/btrfs.ts';
import { indexByDisk } from './disk-usage.ts';

const table = `Qgroupid    Referenced    Exclusive  Max referenced   Path 
--------    ----------    ---------  --------------   ---- 
0/5              16384        16384            none   <toplevel>
0/256        104873984    104873984            none   images/base-1/root
0/257         52412416     52412416        52428800   disks/dkaaaaaaaaaaaaaaaaaaaa/root
0/258            16384        16384            none   var/lib/skerry/store.tree/disks/dkbbbbbbbbbbbbbbbbbbbb/root
0/259            16384        16384            none   <stale>
`;

test('indexByDisk() finds the disks among all subvolumes, wherever the store lies in its file system', () => {
  const disks = indexByDisk(parseQuotas(table));
  assert.deepEqual([...disks.keys()], ['dkaaaaaaaaaaaaaaaaaaaa', 'dkbbbbbbbbbbbbbbbbbbbb']);
  assert.equal(disks.get('dkaaaaaaaaaaaaaaaaaaaa')?.limitBytes, 52428800);
  assert.equal(disks.get('dkbbbbbbbbbbbbbbbbbbbb')?.limitBytes, undefined);
});

test('parseQuotas() takes any text without throwing, and gives whole numbers', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const quota of parseQuotas(text)) assert.ok(Number.isFinite(quota.usedBytes));
    }),
  );
});
