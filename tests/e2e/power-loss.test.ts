/**
 * The data directory lies on a disk that loses what was not synced when its power is cut at a random instant; what had been acknowledged must be there
 * after the next `up`. `SKERRY_POWER_SEED` repeats a run's draws, `SKERRY_POWER_CUTS` sets the number of cuts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Acknowledged } from '../power/acknowledged.ts';
import { PowerDevice } from '../power/power-device.ts';
import { losses, seededRandom } from '../power/unsynced-blocks.ts';
import { Instance } from './instance.ts';

const seed = Number(process.env['SKERRY_POWER_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const cuts = Number(process.env['SKERRY_POWER_CUTS'] ?? 1);
const mostWorkMs = 5000;

let place: string;
let power: PowerDevice;
before(async () => {
  place = await mkdtemp('/var/tmp/skerry-e2e-');
  power = await PowerDevice.make(8192);
});
after(async () => {
  await power[Symbol.asyncDispose]();
  await rm(place, { recursive: true, force: true });
});

test(`what was acknowledged survives ${cuts} power cuts at random instants (SKERRY_POWER_SEED=${seed})`, async (context) => {
  const random = seededRandom(seed);
  await power.on(place);
  const acknowledged = new Acknowledged(random);
  for (let n = 0; n <= cuts; n++) {
    const skerry = await Instance.start({ dataDir: place });
    try {
      await acknowledged.check(skerry);
      if (n === cuts) break;
      const working = acknowledged.work(skerry);
      await Promise.race([acknowledged.progress(), working]);
      await Promise.race([sleep(random() * mostWorkMs), working]);
      acknowledged.close();
      const loss = losses[Math.floor(random() * losses.length)] ?? 'none';
      const cut = await power.cut(loss, Math.floor(random() * 2 ** 31));
      context.diagnostic(`cut ${n + 1}: ${loss}, ${JSON.stringify(cut)}, ${acknowledged.summary()}`);
      await working;
    } finally {
      // Of the life after the cut nothing reaches the disk.
      await skerry[Symbol.asyncDispose]();
    }
    await power.off();
    await power.on(place);
  }
});
