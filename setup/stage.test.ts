import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { debianCodename, missingPackages } from './debian-packages.ts';
import { isRightGo } from './go-toolchain.ts';
import { guestSources } from './guest.ts';
import { isInstalled } from './installed-tree.ts';
import { runscKey } from './runsc.ts';
import { type Stage, StageRunner } from './stage.ts';

const GO = { version: 'go1.26.8', architecture: 'amd64', proxy: '' };

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'skerry-stage-test-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('StageRunner builds what is missing once, says so, and is silent when it is there', async () => {
  await inFolder(async (folder) => {
    const lines: string[] = [];
    let built: string | null = null;
    const stage: Stage<string> = {
      name: 'thing',
      does: 'making the thing',
      find: async () => built,
      async build() {
        built = 'made';
        return built;
      },
    };
    for (const cached of [false, true]) {
      await using runner = new StageRunner(folder, (line) => lines.push(line));
      assert.equal(await runner.run(stage), 'made');
      assert.deepEqual(
        runner.timings.map((timing) => timing.cached),
        [cached],
      );
    }
    assert.equal(lines.length, 2);
    assert.equal(lines[0], 'thing: making the thing');
  });
});

test('StageRunner releases the lock when a stage fails', async () => {
  await inFolder(async (folder) => {
    const failing: Stage<string> = {
      name: 'thing',
      does: 'failing',
      find: async () => null,
      build: async () => Promise.reject(new Error('no')),
    };
    for (let times = 0; times < 2; times++) {
      await assert.rejects(async () => {
        await using runner = new StageRunner(folder, () => {});
        await runner.run(failing);
      }, /no/);
    }
  });
});

test('missingPackages() counts only installed ones', () => {
  const lines = 'zstd installed\nnftables config-files\nprocps installed\n';
  assert.deepEqual(missingPackages(['zstd', 'nftables', 'jq'], lines), ['nftables', 'jq']);
});

test('debianCodename() reads os-release and knows no other system', () => {
  assert.equal(debianCodename('ID=debian\nVERSION_CODENAME=bookworm\n'), 'bookworm');
  assert.equal(debianCodename('ID="debian"\nVERSION_CODENAME="trixie"\n'), 'trixie');
  assert.equal(debianCodename('ID=ubuntu\nVERSION_CODENAME=noble\n'), null);
  assert.equal(debianCodename(''), null);
});

test('isRightGo() takes one release only', () => {
  for (const right of ['go1.26.0', 'go1.26.8', 'go1.26.12']) assert.equal(isRightGo(right), true);
  for (const wrong of ['go1.25.9', 'go1.27.0', 'go1.26', 'go1.26rc1', 'go1x26.1', 'devel go1.26.1', '']) {
    assert.equal(isRightGo(wrong), false, wrong);
  }
});

test('runscKey() stamps a version that changes with module, sums and Go', () => {
  const { key, version } = runscKey('mod', 'sum', GO);
  assert.equal(version, `skerry-${key.slice(0, 12)}`);
  const others = [
    runscKey('mod2', 'sum', GO),
    runscKey('mod', 'sum2', GO),
    runscKey('mod', 'sum', { ...GO, version: 'go1.26.9' }),
  ];
  for (const other of others) assert.notEqual(other.version, version);
});

test('guestSources() leaves out tests, test data and nested modules', async () => {
  await inFolder(async (folder) => {
    const files = [
      'go.mod',
      'main.go',
      'main_test.go',
      'inner/a.go',
      'inner/testdata/x',
      'runsc/go.mod',
      'runsc/tool.go',
    ];
    for (const file of files) {
      await mkdir(join(folder, file, '..'), { recursive: true });
      await writeFile(join(folder, file), '');
    }
    assert.deepEqual(
      await guestSources(folder),
      ['go.mod', 'inner/a.go', 'main.go'].map((file) => join(folder, file)),
    );
  });
});

test('isInstalled() compares with the lockfile and forgives absent optional packages', () => {
  const wanted = {
    packages: {
      '': {},
      'node_modules/a': { version: '1.0.0', integrity: 'x' },
      'node_modules/b': { version: '2.0.0', optional: true },
    },
  };
  assert.equal(isInstalled(wanted, { packages: { 'node_modules/a': { version: '1.0.0', integrity: 'x' } } }), true);
  assert.equal(isInstalled(wanted, { packages: {} }), false);
  assert.equal(isInstalled(wanted, { packages: { 'node_modules/a': { version: '1.0.1', integrity: 'y' } } }), false);
  const extra = { 'node_modules/a': { version: '1.0.0', integrity: 'x' }, 'node_modules/c': { version: '1.0.0' } };
  assert.equal(isInstalled(wanted, { packages: extra }), false);
});
