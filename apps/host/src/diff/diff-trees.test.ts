import assert from 'node:assert/strict';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCommand } from '@skerry/kit';
import fc from 'fast-check';
import { collectDiff, diffTrees } from './diff-trees.ts';
import { escapePath } from './escape-path.ts';
import { parseDescents, partingOf } from './one-until.ts';

let place: string;
let count = 0;
before(async () => {
  place = await mkdtemp(join(tmpdir(), 'skerry-diff-'));
});
after(async () => {
  await rm(place, { recursive: true, force: true });
});

/** Two equal trees, as a snapshot and its source are, but for inode numbers. */
async function twins(fill: (root: string) => Promise<void>): Promise<[string, string]> {
  const [a, b] = [join(place, `${++count}a`), join(place, `${count}b`)];
  await mkdir(a);
  await fill(a);
  await runCommand('cp', ['--archive', a, b]);
  return [a, b];
}
async function lines(a: string, b: string, limit = 1000): Promise<string[]> {
  const { changes } = await collectDiff(diffTrees(a, b), limit);
  return changes.map(
    ({ change, path, type, bytes }) => `${change} ${path} ${type}${type === 'directory' ? '' : ` ${bytes}`}`,
  );
}

test('diffTrees() finds nothing between copies, whatever is in them', async () => {
  const [a, b] = await twins(async (root) => {
    await mkdir(join(root, 'd/e'), { recursive: true });
    await writeFile(join(root, 'd/f'), 'text');
    await link(join(root, 'd/f'), join(root, 'd/hard'));
    await symlink('/nowhere', join(root, 'd/link'));
    await runCommand('mkfifo', [join(root, 'd/fifo')]);
    await runCommand('setfattr', ['-n', 'user.x', '-v', 'y', join(root, 'd/f')]);
    await truncate(join(root, 'd/f'), 5_000_000);
  });
  assert.deepEqual(await lines(a, b), []);
});

test('diffTrees() tells what was added, changed and deleted, each directory before what is in it', async () => {
  const [a, b] = await twins(async (root) => {
    await mkdir(join(root, 'gone/deep'), { recursive: true });
    for (const name of [
      'gone/deep/x',
      'a-b',
      'a',
      'same',
      'grown',
      'mode',
      'attribute',
      'turned',
      'quiet',
      'touched',
      'moved',
    ])
      await writeFile(join(root, name), name);
    await symlink('one', join(root, 'link'));
  });
  await rm(join(b, 'gone'), { recursive: true });
  await mkdir(join(b, 'new'));
  await writeFile(join(b, 'new/y'), '123');
  await writeFile(join(b, 'grown'), 'grown and grown');
  await chmod(join(b, 'mode'), 0o600);
  await runCommand('setfattr', ['-n', 'user.x', '-v', 'y', join(b, 'attribute')]);
  await rm(join(b, 'turned'));
  await mkdir(join(b, 'turned'));
  await writeFile(join(b, 'turned/in'), '');
  const times = await runCommand('stat', ['-c', '%y', join(a, 'quiet')]);
  await writeFile(join(b, 'quiet'), 'QUIET');
  await runCommand('touch', ['-d', times.trim(), join(b, 'quiet')]);
  await utimes(join(b, 'touched'), 1, 1);
  await rm(join(b, 'link'));
  await symlink('two', join(b, 'link'));
  await rename(join(b, 'moved'), join(b, 'moved-on'));
  await chmod(b, 0o711);
  const found = await lines(a, b);
  assert.deepEqual(found, [
    'changed / directory',
    'changed /attribute file 9',
    'deleted /gone directory',
    'deleted /gone/deep directory',
    'deleted /gone/deep/x file 11',
    'changed /grown file 15',
    'changed /link symlink 3',
    'changed /mode file 4',
    'deleted /moved file 5',
    'added /moved-on file 5',
    'added /new directory',
    'added /new/y file 3',
    'changed /quiet file 5',
    'changed /touched file 7',
    'changed /turned directory',
    'added /turned/in file 0',
  ]);
  for (let limit = 1; limit < found.length; limit += 4) {
    const part = await collectDiff(diffTrees(a, b), limit);
    assert.equal(part.changes.length, limit);
    assert.equal(part.truncated, true);
  }
  assert.equal((await collectDiff(diffTrees(a, b), found.length)).truncated, false);
});

test('diffTrees() never follows a link, and tells names that are no text', async () => {
  const [a, b] = await twins(async (root) => {
    await symlink('/etc', join(root, 'd'));
  });
  await rm(join(b, 'd'));
  await symlink('/usr', join(b, 'd'));
  for (const name of ['new\nline', 'back\\slash', '\u202edesrever', 'ünï', Buffer.from([0x61, 0xff, 0xc3, 0xbc])])
    await writeFile(Buffer.concat([Buffer.from(`${b}/`), Buffer.from(name)]), '');
  assert.deepEqual(await lines(a, b), [
    'added /a\\xffü file 0',
    'added /back\\\\slash file 0',
    'changed /d symlink 4',
    'added /new\\x0aline file 0',
    'added /ünï file 0',
    'added /\\xe2\\x80\\xaedesrever file 0',
  ]);
});

test('diffTrees() of two trees that grow and shrink at random tells just what is different', async () => {
  const file = fc.record({
    path: fc.constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/a', 'f/a'),
    content: fc.constantFrom('', '1', '2', '22'),
  });
  const tree = fc.uniqueArray(file, { selector: ({ path }) => path });
  await fc.assert(
    fc.asyncProperty(tree, tree, async (left, right) => {
      const [a, b] = [join(place, `${++count}a`), join(place, `${count}b`)];
      for (const [root, files] of [
        [a, left],
        [b, right],
      ] as const) {
        await mkdir(root);
        for (const { path, content } of files) {
          await mkdir(join(root, path, '..'), { recursive: true });
          await writeFile(join(root, path), content);
          await utimes(join(root, path), 1, 1);
        }
      }
      const { changes } = await collectDiff(diffTrees(a, b), 1000);
      const files = changes
        .filter(({ type }) => type === 'file')
        .map(({ change, path, bytes }) => `${change} ${path} ${bytes}`);
      const old = new Map(left.map(({ path, content }) => [`/${path}`, content]));
      const now = new Map(right.map(({ path, content }) => [`/${path}`, content]));
      const expected = [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((path) => {
        const [x, y] = [old.get(path), now.get(path)];
        if (x === undefined) return [`added ${path} ${y?.length}`];
        if (y === undefined) return [`deleted ${path} ${x.length}`];
        return x === y ? [] : [`changed ${path} ${y.length}`];
      });
      assert.deepEqual(files, expected);
    }),
    { numRuns: 60 },
  );
});

test('diffTrees() stops when it is asked to', async () => {
  const [a, b] = await twins(async (root) => writeFile(join(root, 'x'), 'x'));
  await assert.rejects(collectDiff(diffTrees(a, b, { signal: AbortSignal.abort(new Error('enough')) }), 10), /enough/);
});

test('escapePath() gives text without control characters, and different texts for different names', () => {
  const bytes = fc.uint8Array({ minLength: 0, maxLength: 12 }).map((array) => Buffer.from(array).toString('latin1'));
  const nearText = fc
    .array(fc.constantFrom('a', '\\', 'x', '0', '\n', '\xc3', '\xbc', '\xff', '\xe2\x80\xae'))
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(bytes, nearText), fc.oneof(bytes, nearText), (one, other) => {
      assert.doesNotMatch(escapePath(one), /\p{Cc}/u);
      if (one !== other) assert.notEqual(escapePath(one), escapePath(other));
    }),
  );
});

test('partingOf() is when the first of two lines left what they have in common', async () => {
  const listing = [
    ['disk', 'image', '00:00:01', 'disks/d/root'],
    ['s1', 'disk', '00:01:00', 'snapshots/1/root'],
    ['s2', 'disk', '00:02:00', 'snapshots/2/root'],
    ['fork', 'gone', '00:03:00', 'disks/f/root'],
    ['fork2', 'gone', '00:04:00', 'var/store/disks/g/root'],
    ['other', 'elsewhere', '00:05:00', 'disks/h/root'],
  ].map(
    ([uuid, parent, time, path]) =>
      `ID 1 gen 2 cgen 3 top level 5 otime 2026-01-01 ${time} parent_uuid ${parent} uuid ${uuid} path ${path}`,
  );
  const descents = parseDescents(listing.join('\n'));
  const at = (a: string, b: string): string | undefined => {
    const ms = partingOf(descents, a, b);
    return ms === undefined ? undefined : new Date(ms).toISOString().slice(11, 19);
  };
  assert.equal(at('snapshots/1/root', 'snapshots/2/root'), '00:01:00');
  assert.equal(at('snapshots/1/root', 'disks/d/root'), '00:01:00');
  assert.equal(at('disks/d/root', 'snapshots/2/root'), '00:02:00');
  assert.equal(at('disks/f/root', 'disks/g/root'), '00:03:00');
  assert.equal(at('disks/f/root', 'disks/h/root'), undefined);
  assert.equal(at('disks/f/root', 'nowhere'), undefined);
  assert.deepEqual(parseDescents(await readFile('/etc/hostname', 'utf8')), []);
});
