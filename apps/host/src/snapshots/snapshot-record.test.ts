import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatSnapshotRecord, parseSnapshotRecord } from './snapshot-record.ts';

const golden = join(import.meta.dirname, '../testing/snapshot-record.v1.json');

test('parseSnapshotRecord() reads what format 1 wrote, and formatSnapshotRecord() writes it the same', async () => {
  const text = await readFile(golden, 'utf8');
  const record = parseSnapshotRecord(text);
  assert.equal(record.memory?.files[0]?.name, 'pages.img');
  assert.deepEqual(JSON.parse(formatSnapshotRecord(record)), JSON.parse(text));
});

test('parseSnapshotRecord() refuses what is cut, of another format, without its memory, or names a file outside', async () => {
  const text = await readFile(golden, 'utf8');
  for (const wrong of [
    '',
    text.slice(0, 300),
    text.replace('"formatVersion": 1', '"formatVersion": 2'),
    text.replace('"memory": {', '"other": {'),
    text.replace('"kind": "memory"', '"kind": "disk"'),
    text.replace('pages.img', '../pages.img'),
    text.replace('pages.img', '..'),
  ])
    assert.throws(() => parseSnapshotRecord(wrong), { reason: 'snapshot_record_unreadable' });
});
