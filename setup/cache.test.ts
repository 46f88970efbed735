import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { cacheRoot, clearScratch, contentKey, exists, makeOpenFolder, makeScratch, publish } from './cache.ts';
import { lockCache } from './cache-lock.ts';

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'skerry-setup-test-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('cacheRoot() prefers SKERRY_CACHE', () => {
  assert.equal(cacheRoot({ SKERRY_CACHE: '/somewhere' }), '/somewhere');
  assert.equal(cacheRoot({}), '/var/cache/skerry');
});

test('contentKey() differs when bytes move from one part to the next', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ minLength: 1 }), (first, second) => {
      assert.notEqual(contentKey({ first, second }), contentKey({ first: first + second, second: '' }));
      assert.equal(contentKey({ first, second }), contentKey({ first, second }));
    }),
  );
});

test('makeOpenFolder() lets others in whatever the umask is', async () => {
  await withFolder(async (folder) => {
    const before = process.umask(0o077);
    try {
      await makeOpenFolder(join(folder, 'one', 'two'));
    } finally {
      process.umask(before);
    }
    for (const path of ['one', 'one/two']) assert.equal((await stat(join(folder, path))).mode & 0o777, 0o755);
  });
});

test('publish() replaces what has the name, and clearScratch() removes what was not published', async () => {
  await withFolder(async (folder) => {
    for (const content of ['old', 'new']) {
      const scratch = await makeScratch(folder, 'thing');
      await writeFile(join(scratch, 'file'), content);
      await publish(scratch, join(folder, 'things', 'key'));
    }
    const unfinished = await makeScratch(folder, 'thing');
    await clearScratch(folder);
    assert.equal(await readFile(join(folder, 'things', 'key', 'file'), 'utf8'), 'new');
    assert.equal(await exists(unfinished), false);
  });
});

test('lockCache() lets one in at a time and says that it waited', async () => {
  await withFolder(async (folder) => {
    await chmod(folder, 0o755);
    const first = await lockCache(folder, () => {});
    let waited = false;
    const second = lockCache(folder, () => {
      waited = true;
    });
    const early = await Promise.race([
      second.then(() => 'entered'),
      new Promise((done) => setTimeout(done, 400, 'waiting')),
    ]);
    assert.equal(early, 'waiting');
    assert.equal(waited, true);
    await first[Symbol.asyncDispose]();
    const held = await second;
    assert.equal(held.waited, true);
    await held[Symbol.asyncDispose]();
  });
});

test('lockCache() fails with a hint when the folder cannot be written', async () => {
  await withFolder(async (folder) => {
    await writeFile(join(folder, '.lock'), '');
    await rm(join(folder, '.lock'));
    await makeOpenFolder(join(folder, '.lock', 'in-the-way'));
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(lockCache(join(folder, 'file'), () => {}));
  });
});
