import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand, syncDirectory, tryCommand } from '@skerry/kit';
import { PowerDevice } from './power-device.ts';
import { losses, seededRandom, UnsyncedBlocks } from './unsynced-blocks.ts';

async function writeSynced(path: string, content: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

for (const loss of losses) {
  test(`a cut that leaves ${loss} of the unsynced writes keeps what was synced, and the file system is whole`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const place = await mkdtemp('/var/tmp/skerry-mnt-');
    const power = await PowerDevice.make(256);
    try {
      await power.on(place);
      await mkdir(join(place, 'a'));
      for (let n = 0; n < 20; n++) await writeSynced(join(place, 'a', `synced-${n}`), `${n}`.repeat(5000));
      await syncDirectory(join(place, 'a'));
      for (let n = 0; n < 20; n++) await writeFile(join(place, 'a', `loose-${n}`), `${n}`.repeat(50_000));
      if (loss === 'random') await tryCommand('sync', ['--data', join(place, 'a/loose-3')]);
      const cut = await power.cut(loss, seed);
      // After the cut the old life goes on, to its own eyes.
      await writeSynced(join(place, 'a', 'too-late'), 'too late');
      assert.equal(await readFile(join(place, 'a', 'too-late'), 'utf8'), 'too late');
      await power.off();
      await power.on(place);
      const found = await readdir(join(place, 'a'));
      for (let n = 0; n < 20; n++)
        assert.equal(await readFile(join(place, 'a', `synced-${n}`), 'utf8'), `${n}`.repeat(5000), `seed ${seed}`);
      assert.ok(!found.includes('too-late'), JSON.stringify(cut));
      assert.match(await runCommand('btrfs', ['scrub', 'start', '-B', place]), /no errors found/);
      await power.off();
    } finally {
      await power[Symbol.asyncDispose]();
      await rm(place, { recursive: true });
    }
  });
}

test('a write that was never flushed is gone after a cut that leaves none, so that a missing sync is noticed', async () => {
  const place = await mkdtemp('/var/tmp/skerry-mnt-');
  const power = await PowerDevice.make(256);
  try {
    await power.on(place);
    await runCommand('sync', ['--file-system', place]);
    await writeFile(join(place, 'loose'), 'loose');
    await power.cut('none', 1);
    await power.off();
    await power.on(place);
    assert.deepEqual(await readdir(place), []);
  } finally {
    await power[Symbol.asyncDispose]();
    await rm(place, { recursive: true });
  }
});

test('survivors() are versions that were written, and the same for the same seed', () => {
  const blocks = new UnsyncedBlocks();
  for (let write = 0; write < 50; write++) {
    blocks.beginWrite();
    for (let block = 0; block < 10; block++) blocks.put((write * 7 + block) % 40, Buffer.from([write]));
  }
  for (const loss of losses) {
    const once = [...blocks.survivors(loss, seededRandom(7))];
    assert.deepEqual(once, [...blocks.survivors(loss, seededRandom(7))]);
    for (const [block, data] of once)
      assert.ok([...Array(10).keys()].some((n) => ((data[0] ?? 0) * 7 + n) % 40 === block));
  }
  assert.equal([...blocks.survivors('none', seededRandom(1))].length, 0);
  assert.equal([...blocks.survivors('all', seededRandom(1))].length, blocks.size);
});
