import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChild } from './child.ts';
import { type Stage, type Suite, verdict } from './stage.ts';

const TRIES = 20;

/** What a run of Skerry may leave on a machine, each as a readable line. */
async function takeInventory(suite: Suite): Promise<Set<string>> {
  const found = new Set<string>();
  for (const line of await processes()) found.add(line);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  for (const line of mounts.split('\n')) {
    const target = line.split(' ')[4];
    if (target !== undefined && /skerry/.test(line)) found.add(`mount ${target}`);
  }
  for (const name of await readdir('/run/netns').catch(() => [])) found.add(`network namespace ${name}`);
  for (const name of await readdir('/sys/class/net').catch(() => [])) found.add(`network interface ${name}`);
  // What all instances share stays, empty: removing it could race with one that starts.
  for (const name of await readdir('/run/skerry').catch(() => [])) found.add(`path /run/skerry/${name}`);
  for (const folder of ['/tmp', '/var/tmp', '/dev/shm']) {
    for (const name of await readdir(folder).catch(() => [])) {
      // The suite's own database is stopped after its last stage.
      if (name.startsWith('skerry') && !name.startsWith('skerry-pg-')) found.add(`path ${folder}/${name}`);
    }
  }
  const tables = await runChild(suite, 'nft', ['list', 'tables'], { capture: true });
  for (const line of tables.stdout.split('\n')) if (line !== '') found.add(`nft ${line}`);
  const loops = await runChild(suite, 'losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE'], {
    capture: true,
  });
  for (const line of loops.stdout.split('\n')) if (line !== '') found.add(`loop device ${line.replace(/\s+/g, ' ')}`);
  const groups = await runChild(suite, 'find', ['/sys/fs/cgroup', '-type', 'd', '-name', '*skerry*', '-prune'], {
    capture: true,
  });
  for (const line of groups.stdout.split('\n')) if (line !== '') found.add(`cgroup ${line}`);
  return found;
}

async function processes(): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
    if (
      /(^|\/)(runsc|skerry-guest)( |$)|runsc-(sandbox|gofer)|\/apps\/(host|server|gateway|egress|supervisor)\/src\/main\.ts/.test(
        line,
      )
    ) {
      found.push(`process ${pid}: ${line.slice(0, 160)}`);
    }
  }
  return found;
}

/** Compares the machine before and after: call first before the tests, then run the stage after them. */
export async function leftoversStage(suite: Suite): Promise<Stage> {
  const before = await takeInventory(suite);
  return {
    name: 'leftovers',
    prepared: false,
    async run() {
      let left: string[] = [];
      // The kernel frees namespaces and loop devices a moment after their last user has gone.
      for (let tries = 0; tries < TRIES; tries++) {
        left = [...(await takeInventory(suite))].filter((line) => !before.has(line));
        if (left.length === 0) break;
        await sleep(250);
      }
      for (const line of left) process.stdout.write(`Left behind by this run: ${line}\n`);
      return verdict(left.length === 0);
    },
  };
}
