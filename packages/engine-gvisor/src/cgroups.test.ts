import assert from 'node:assert/strict';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId } from '@skerry/model';
import fc from 'fast-check';
import { Cgroups, readCounter } from './cgroups.ts';

async function withTree(files: Record<string, string>, body: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'engine-gvisor-cgroups-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(join(root, path, '..'), { recursive: true });
      await writeFile(join(root, path), content);
    }
    await body(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const bootId = newId('boot');

test('Cgroups reads the unified hierarchy', async () => {
  const group = `skerry-i1/${bootId}`;
  const files = {
    'cgroup.controllers': 'cpu memory pids\n',
    [`${group}/cgroup.procs`]: '12\n13\n',
    [`${group}/cpu.stat`]: 'usage_usec 1500000\nuser_usec 1\n',
    [`${group}/memory.current`]: '4096\n',
    [`${group}/memory.peak`]: '8192\n',
    [`${group}/memory.events`]: 'low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\n',
    [`${group}/pids.current`]: '21\n',
    [`${group}/pids.events`]: 'max 4\n',
    [`${group}/cgroup.events`]: 'populated 1\nfrozen 1\n',
    [`${group}/cgroup.freeze`]: '0\n',
  };
  await withTree(files, async (root) => {
    const cgroups = new Cgroups('i1', root);
    assert.deepEqual(await cgroups.processes(bootId), [12, 13]);
    assert.deepEqual(await cgroups.usage(bootId), {
      cpuMs: 1500,
      memoryBytes: 4096,
      memoryPeakBytes: 8192,
      processes: 21,
    });
    assert.deepEqual(await cgroups.limitHits(bootId), { outOfMemory: 3, outOfProcesses: 4 });
    assert.deepEqual(await cgroups.list(), [bootId]);
    assert.equal(await cgroups.exists(bootId), true);
    await cgroups.setFrozen(bootId, true, 100);
    await assert.rejects(cgroups.setFrozen(bootId, false, 20), { code: 'deadline' });
  });
});

test('Cgroups reads one hierarchy a controller', async () => {
  const file = (controller: string, name: string): string => `${controller}/skerry-i1/${bootId}/${name}`;
  const files = {
    [file('freezer', 'cgroup.procs')]: '12\n',
    [file('freezer', 'freezer.state')]: 'THAWED\n',
    [file('cpuacct', 'cpuacct.usage')]: '2500000000\n',
    [file('memory', 'memory.usage_in_bytes')]: '4096\n',
    [file('memory', 'memory.max_usage_in_bytes')]: '8192\n',
    [file('memory', 'memory.oom_control')]: 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n',
    [file('pids', 'pids.current')]: '3\n',
    [file('pids', 'pids.events')]: 'max 0\n',
    'unified/cgroup.procs': '',
  };
  await withTree(files, async (root) => {
    const cgroups = new Cgroups('i1', root);
    assert.deepEqual(await cgroups.processes(bootId), [12]);
    assert.deepEqual(await cgroups.usage(bootId), {
      cpuMs: 2500,
      memoryBytes: 4096,
      memoryPeakBytes: 8192,
      processes: 3,
    });
    assert.deepEqual(await cgroups.limitHits(bootId), { outOfMemory: 1, outOfProcesses: 0 });
    assert.deepEqual(await cgroups.list(), [bootId]);
  });
});

test('Cgroups.remove() removes empty groups of all hierarchies and leaves those of others', async () => {
  await withTree({}, async (root) => {
    for (const path of [`cpu/skerry-i1/${bootId}/below`, `memory/skerry-i1/${bootId}`, 'memory/skerry-i2']) {
      await mkdir(join(root, path), { recursive: true });
    }
    const cgroups = new Cgroups('i1', root);
    await cgroups.remove(bootId, 1000);
    assert.deepEqual(await cgroups.list(), []);
    await assert.rejects(access(join(root, 'cpu/skerry-i1')), { code: 'ENOENT' });
    await access(join(root, 'memory/skerry-i2'));
    await cgroups.remove(bootId, 1000);
  });
});

test('Cgroups answers for a boot without a group', async () => {
  await withTree({}, async (root) => {
    const cgroups = new Cgroups('i1', root);
    assert.deepEqual([await cgroups.processes(bootId), await cgroups.exists(bootId)], [[], false]);
    assert.deepEqual(await cgroups.limitHits(bootId), { outOfMemory: 0, outOfProcesses: 0 });
    await assert.rejects(cgroups.usage(bootId), { code: 'not_found' });
    await cgroups.killAll(bootId, 10);
  });
});

test('readCounter() never throws', () => {
  fc.assert(fc.property(fc.string(), fc.string(), (text, key) => typeof readCounter(text, key) === 'number'));
});
