import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesPerMiB, diskLimitBytes } from './disk-limit.ts';
import { formatDiskRecord, parseDiskRecord } from './disk-record.ts';

const golden = join(import.meta.dirname, '../testing/disk-record.v1.json');

test('parseDiskRecord() reads what format 1 wrote, and formatDiskRecord() writes it the same', async () => {
  const text = await readFile(golden, 'utf8');
  const record = parseDiskRecord(text);
  assert.equal(record.owner.sandbox['name'], 'box');
  assert.deepEqual(JSON.parse(formatDiskRecord(record)), JSON.parse(text));
});

test('parseDiskRecord() reads the record of a disk made from a snapshot, and diskLimitBytes() leaves room in a full one', async () => {
  const text = await readFile(join(import.meta.dirname, '../testing/disk-record-saved.v1.json'), 'utf8');
  const record = parseDiskRecord(text);
  assert.deepEqual(record.point, { snapshotId: record.snapshotId, begun: true });
  assert.deepEqual(JSON.parse(formatDiskRecord(record)), JSON.parse(text));
  assert.equal(diskLimitBytes(record), 1024 * bytesPerMiB - 4096);
  assert.equal(diskLimitBytes({ sizeMiB: 64 }), 64 * bytesPerMiB);
  assert.equal(diskLimitBytes({ sizeMiB: 64, inheritedBytes: 64 * bytesPerMiB }), 16 * bytesPerMiB);
});

test('parseDiskRecord() refuses what is cut or of another format', async () => {
  const text = await readFile(golden, 'utf8');
  for (const wrong of ['', '{}', text.slice(0, 60), text.replace('"formatVersion": 1', '"formatVersion": 2')])
    assert.throws(() => parseDiskRecord(wrong), { code: 'data_loss' });
});
