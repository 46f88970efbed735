import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SkerryError, type SandboxView, type Snapshot } from '@skerry/sdk';
import fc from 'fast-check';
import { CommandFailure } from '../terminal/command-failure.ts';
import { treeLines } from './snapshot-tree.ts';
import { failureLines, usageError } from './failure.ts';
import { tableLines } from './table.ts';
import { durationOption, formatAge, formatBytes, formatMiB, pairOption, sizeOption } from './units.ts';

test('durationOption() and sizeOption() read units, and name what is none', () => {
  assert.deepEqual(
    ['500ms', '90s', '10m', '2h', '30d', '1h30m'].map(durationOption),
    [500, 90_000, 600_000, 7_200_000, 2_592_000_000, 5_400_000],
  );
  assert.deepEqual(['512', '512MiB', '1GiB', '1.5G', '1TiB'].map(sizeOption), [512, 512, 1024, 1536, 1_048_576]);
  for (const text of ['', '5', 's', '-1s', '5 s', '1y']) assert.throws(() => durationOption(text), { reason: 'usage' });
  for (const text of ['', 'GiB', '-1', '1 GiB', '1KB']) assert.throws(() => sizeOption(text), { reason: 'usage' });
});

test('pairOption() splits at the first equals sign and keeps what came before', () => {
  assert.deepEqual(pairOption('A=b=c', { X: 'y' }), { X: 'y', A: 'b=c' });
  assert.deepEqual(pairOption('A=', undefined), { A: '' });
  for (const text of ['A', '=b', '']) assert.throws(() => pairOption(text, undefined), { reason: 'usage' });
});

test('formatAge() and formatMiB() use one unit', () => {
  const now = Date.parse('2030-01-10T00:00:00Z');
  assert.deepEqual(
    [
      '2030-01-09T23:59:48Z',
      '2030-01-09T23:30:00Z',
      '2030-01-09T20:00:00Z',
      '2030-01-01T00:00:00Z',
      '2030-01-11T00:00:00Z',
    ].map((at) => formatAge(at, now)),
    ['12 s', '30 min', '4 h', '9 d', '0 s'],
  );
  assert.deepEqual([512, 1024, 1536].map(formatMiB), ['512 MiB', '1 GiB', '1.5 GiB']);
});

test('tableLines() aligns every column, whatever is in the cells', () => {
  assert.deepEqual(
    tableLines(
      ['A', 'BB'],
      [
        ['x', '1'],
        ['yyy', '\x1b[32mgo\x1b[0m'],
      ],
    ),
    ['A    BB', 'x    1', 'yyy  \x1b[32mgo\x1b[0m'],
  );
  const cell = fc.stringMatching(/^[a-zäß✓]{1,8}$/u);
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1 }), (rows) => {
      const lines = tableLines(['', ''], rows);
      const starts = new Set(
        rows.map(([, second], row) => Array.from(lines[row + 1] ?? '').length - Array.from(second).length),
      );
      assert.equal(starts.size, 1);
    }),
  );
});

test('failureLines() says what happened, why, and what to do', () => {
  const error = new SkerryError({
    code: 'conflict',
    reason: 'sandbox_not_running',
    message: 'The sandbox "a" is stopped',
    hint: 'Start it.',
    status: 409,
    requestId: 'r1',
  });
  assert.deepEqual(failureLines(error), [
    'skerry: The sandbox "a" is stopped',
    '  why: sandbox not running (request r1)',
    '  do:  Start it.',
  ]);
  assert.deepEqual(failureLines(usageError('Wrong')), ['skerry: Wrong']);
});

test('CommandFailure is 125 when Skerry failed, and the class of the problem when the call was wrong', () => {
  const exit = (code: SkerryError['code'], message = 'x'): number =>
    new CommandFailure(new SkerryError({ code, reason: code, message, status: 0 })).exitCode;
  assert.deepEqual(
    [
      exit('internal'),
      exit('unavailable'),
      exit('deadline'),
      exit('not_found'),
      exit('unauthenticated'),
      exit('invalid'),
    ],
    [125, 125, 125, 4, 3, 2],
  );
  assert.equal(exit('invalid', "cannot start process: command 'nonesuch' was not found in PATH (/bin)"), 127);
});

test('treeLines() draws what was made after what, oldest first, and lets one whose parent is gone begin a branch', () => {
  const now = Date.parse('2030-01-02T00:00:00Z');
  const snapshot = (id: string, hour: number, more: Partial<Snapshot> = {}): Snapshot =>
    ({
      id: `sn${id}`,
      kind: 'disk',
      origin: 'user',
      status: 'ready',
      diskBytes: 1024,
      exclusiveBytes: 512,
      memoryBytes: 0,
      createdAt: new Date(now - hour * 3_600_000).toISOString(),
      ...more,
    }) as unknown as Snapshot;
  const tree = [
    snapshot('c', 1, { parent: 'sna' as Snapshot['id'], name: 'last', kind: 'memory', memoryBytes: 2048 }),
    snapshot('b', 2, { parent: 'sna' as Snapshot['id'], origin: 'pause' }),
    snapshot('a', 3, { name: 'first' }),
    snapshot('d', 1, { parent: 'snx' as Snapshot['id'], status: 'creating' }),
  ];
  const lines = treeLines({ name: 'work', status: 'running' } as unknown as SandboxView, tree, now);
  assert.deepEqual(lines, [
    'work running',
    '├─ first           files 1.0 KiB                  frees 512 B  3 h ago',
    '│  ├─ snb (pause)  files 1.0 KiB                  frees 512 B  2 h ago',
    '│  └─ last         memory 2.0 KiB, files 1.0 KiB  frees 512 B  1 h ago',
    '└─ snd             creating',
  ]);
});

test('formatBytes() has two digits that matter', () => {
  assert.deepEqual([0, 912, 1234, 35_651_584, 1_610_612_736].map(formatBytes), [
    '0 B',
    '912 B',
    '1.2 KiB',
    '34 MiB',
    '1.5 GiB',
  ]);
});
