import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatBootRecord, parseBootRecord } from './boot-record.ts';

const golden = join(import.meta.dirname, '../testing/boot-record.v1.json');

test('parseBootRecord() reads what format 1 wrote, and formatBootRecord() writes it the same', async () => {
  const text = await readFile(golden, 'utf8');
  const record = parseBootRecord(text);
  assert.equal(record.exit?.reason, 'stopped');
  assert.deepEqual(JSON.parse(formatBootRecord(record)), JSON.parse(text));
});

test('parseBootRecord() reads the record of a boot that goes on from a snapshot and is being saved', async () => {
  const text = await readFile(join(import.meta.dirname, '../testing/boot-record-saved.v1.json'), 'utf8');
  const record = parseBootRecord(text);
  assert.deepEqual([record.saving?.end, record.spec.restoreAs], [true, 'fork']);
  assert.deepEqual(JSON.parse(formatBootRecord(record)), JSON.parse(text));
});

test('parseBootRecord() refuses what is cut, of another format, or names no boot', async () => {
  const text = await readFile(golden, 'utf8');
  for (const wrong of [
    '',
    text.slice(0, 100),
    text.replace('"formatVersion": 1', '"formatVersion": 2'),
    text.replaceAll('"btaaaa', '"../aaaa'),
  ])
    assert.throws(() => parseBootRecord(wrong), { code: 'data_loss' });
});
