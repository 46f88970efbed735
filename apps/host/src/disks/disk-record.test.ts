import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatDiskRecord, parseDiskRecord } from './disk-record.ts';

const golden = join(import.meta.dirname, '../testing/disk-record.v1.json');

test('parseDiskRecord() reads what format 1 wrote, and formatDiskRecord() writes it the same', async () => {
  const text = await readFile(golden, 'utf8');
  const record = parseDiskRecord(text);
  assert.equal(record.owner.sandbox['name'], 'box');
  assert.deepEqual(JSON.parse(formatDiskRecord(record)), JSON.parse(text));
});

test('parseDiskRecord() refuses what is cut or of another format', async () => {
  const text = await readFile(golden, 'utf8');
  for (const wrong of ['', '{}', text.slice(0, 60), text.replace('"formatVersion": 1', '"formatVersion": 2')])
    assert.throws(() => parseDiskRecord(wrong), { code: 'data_loss' });
});
