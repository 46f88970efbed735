import assert from 'node:assert/strict';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBtrfsPlace } from './testing/btrfs-place.ts';
import { makeHarness, removeTools } from './testing/harness.ts';
import { logged } from './testing/logged.ts';

after(removeTools);

const damaged = { code: 'data_loss', reason: 'memory_image_damaged' };

test('restore() notices any wrong bit of the small files of an image before the guest runs', async () => {
  await using harness = await makeHarness();
  const { engine } = harness;
  const boot = await harness.scripted('count');
  await engine.start(boot);
  await sleep(200);
  await engine.suspend(boot.bootId);
  const image = await harness.emptyDirectory();
  const format = await engine.saveMemory(boot.bootId, image);
  assert.deepEqual((await readdir(image)).toSorted(), ['checkpoint.img', 'image.json', 'pages.img', 'pages_meta.img']);
  for (const file of ['checkpoint.img', 'pages_meta.img']) {
    const whole = await readFile(join(image, file));
    for (let round = 0; round < 40; round += 1) {
      const at = Math.floor((whole.length * (round + 0.5)) / 40);
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (round % 8)), at);
      await writeFile(join(image, file), bytes);
      const next = await harness.copy(boot);
      await assert.rejects(engine.restore(next, image, format), damaged, `bit ${round % 8} of byte ${at} of ${file}`);
      assert.equal(await engine.inspect(next.bootId), 'absent');
    }
    await writeFile(join(image, file), whole);
  }
  const next = await harness.copy(boot);
  await engine.restore(next, image, format);
});

test('restore() notices a wrong bit of the pages by the checksums of btrfs, before the guest runs', async () => {
  await using place = await makeBtrfsPlace(256);
  await using harness = await makeHarness();
  const { engine } = harness;
  const boot = await harness.scripted('hold 30', { memoryMiB: 512 });
  await engine.start(boot);
  await logged(boot.logPath, 'held');
  await engine.suspend(boot.bootId);
  const image = join(place.directory, 'memory');
  await cp(await harness.emptyDirectory(), image, { recursive: true });
  const format = await engine.saveMemory(boot.bootId, image);
  const whole = await harness.copy(boot);
  await engine.restore({ ...whole, memoryMiB: 512 }, image, format);
  await engine.remove(whole.bootId, whole.directory);
  await place.flipBeneath(Buffer.from('skerry-marks-this-very-page-29'));
  const next = await harness.copy(boot);
  await assert.rejects(engine.restore({ ...next, memoryMiB: 512 }, image, format), damaged);
  assert.equal(await harness.count(next), 0, 'the guest did not run');
  assert.deepEqual(await harness.leftovers(next.bootId), []);
  await rm(image, { recursive: true });
});
