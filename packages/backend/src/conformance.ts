/** What every backend must do: run by each implementation's test against the real thing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, type OwnerBlob, Problem } from '@skerry/model';
import type { Backend, BackendEvent, BootRequest, DiskSpec } from './backend.ts';
import { snapshotConformance } from './conformance-snapshots.ts';

export interface ConformanceOptions {
  /** Image that disks are made from. */
  readonly image: string;
  readonly memoryMiB: number;
}

/** What the tests make things from. */
export interface ConformanceParts {
  diskSpec(): DiskSpec;
  bootRequest(disk: DiskSpec): BootRequest;
}

/** Declares the tests. `backend` gives the backend when they run; each test removes what it made. */
export function backendConformance(backend: () => Backend, options: ConformanceOptions): void {
  const owner: OwnerBlob = { version: 1, project: newId('project'), sandbox: { name: 'conformance' } };
  const diskSpec = (): DiskSpec => ({
    diskId: newId('disk'),
    sandboxId: newId('sandbox'),
    image: options.image,
    sizeMiB: 256,
    durable: true,
    owner,
  });
  const bootRequest = (disk: DiskSpec): BootRequest => ({
    bootId: newId('boot'),
    sandboxId: disk.sandboxId,
    diskId: disk.diskId,
    hostname: 'conformance',
    cpus: 1,
    memoryMiB: options.memoryMiB,
    isolation: 'any',
    generation: 1,
    accessToken: 'conformance-token-0123456789',
    env: { A: 'b' },
    user: 'user',
  });
  const withDisk = async (work: (disk: DiskSpec) => Promise<void>): Promise<void> => {
    const disk = diskSpec();
    await backend().createDisk(disk);
    try {
      await work(disk);
    } finally {
      for (const boot of await backend().listBoots())
        if (boot.diskId === disk.diskId) await backend().deleteBoot(boot.bootId);
      await backend().deleteDisk(disk.diskId);
    }
  };

  test('describe() names engines and the image', async () => {
    const description = await backend().describe();
    assert.ok(description.engines.length > 0);
    assert.ok(description.images.some((image) => image.name === options.image));
    assert.ok(description.memoryMiB > 0 && description.cpus > 0 && description.diskFreeBytes > 0);
  });

  test('createDisk() gives the same disk when it is repeated, and deleteDisk() is fine when it is gone', async () => {
    const spec = diskSpec();
    const first = await backend().createDisk(spec);
    const second = await backend().createDisk(spec);
    assert.deepEqual([second.diskId, second.createdAtMs], [first.diskId, first.createdAtMs]);
    assert.equal((await backend().listDisks()).filter((disk) => disk.diskId === spec.diskId).length, 1);
    await backend().deleteDisk(spec.diskId);
    await backend().deleteDisk(spec.diskId);
    assert.ok(!(await backend().listDisks()).some((disk) => disk.diskId === spec.diskId));
  });

  test('setDiskOwner() is seen in the list, and refuses an unknown disk', async () => {
    await withDisk(async (disk) => {
      const changed: OwnerBlob = { ...owner, sandbox: { name: 'renamed' } };
      await backend().setDiskOwner(disk.diskId, changed);
      const found = (await backend().listDisks()).find((other) => other.diskId === disk.diskId);
      assert.deepEqual(found?.owner, changed);
    });
    await assert.rejects(backend().setDiskOwner(newId('disk'), owner), { code: 'not_found' });
  });

  test('createDisk() refuses an image that is not there', async () => {
    await assert.rejects(
      backend().createDisk({ ...diskSpec(), image: 'no-such-image' }),
      (error) => error instanceof Problem,
    );
  });

  test('startBoot() runs, repeats to the same boot, and refuses a second boot of the disk', async () => {
    await withDisk(async (disk) => {
      const request = bootRequest(disk);
      const first = await backend().startBoot(request);
      assert.equal(first.state, 'running', JSON.stringify(first));
      assert.ok(first.address !== undefined && first.address.length > 0);
      const second = await backend().startBoot(request);
      assert.deepEqual(
        [second.state, second.address, second.startedAtMs],
        [first.state, first.address, first.startedAtMs],
      );
      assert.equal((await backend().getBoot(request.bootId)).state, 'running');
      await assert.rejects(backend().startBoot({ ...request, bootId: newId('boot') }), { code: 'conflict' });
      await assert.rejects(backend().deleteDisk(disk.diskId), { code: 'conflict' });
    });
  });

  test('stopBoot() ends a boot, repeats, and leaves the disk for another boot', async () => {
    await withDisk(async (disk) => {
      const request = bootRequest(disk);
      await backend().startBoot(request);
      const ended = await backend().stopBoot(request.bootId, 3000);
      assert.deepEqual([ended.state, ended.exit?.reason], ['ended', 'stopped']);
      assert.ok(ended.usage !== undefined);
      const again = await backend().stopBoot(request.bootId, 3000);
      assert.deepEqual(again.exit, ended.exit);
      await backend().deleteBoot(request.bootId);
      await backend().deleteBoot(request.bootId);
      await assert.rejects(backend().getBoot(request.bootId), { code: 'not_found' });
      const next = await backend().startBoot(bootRequest(disk));
      assert.equal(next.state, 'running');
    });
  });

  test('deleteBoot() ends a boot that runs', async () => {
    await withDisk(async (disk) => {
      const request = bootRequest(disk);
      await backend().startBoot(request);
      await backend().deleteBoot(request.bootId);
      assert.ok(!(await backend().listBoots()).some((boot) => boot.bootId === request.bootId));
    });
  });

  test('watch() tells every boot, then synced, then changes, and ends with its signal', async () => {
    await withDisk(async (disk) => {
      const request = bootRequest(disk);
      await backend().startBoot(request);
      const abort = new AbortController();
      const seen: BackendEvent[] = [];
      let synced = false;
      const late = setTimeout(() => abort.abort(), 30_000);
      for await (const event of backend().watch(abort.signal)) {
        if (event.type === 'synced') {
          synced = true;
          assert.ok(seen.some((other) => other.type === 'boot' && other.boot.bootId === request.bootId));
          await backend().deleteBoot(request.bootId);
          continue;
        }
        seen.push(event);
        if (event.type === 'boot_forgotten' && event.bootId === request.bootId) break;
      }
      clearTimeout(late);
      abort.abort();
      assert.ok(synced, 'it never said synced');
      assert.ok(
        seen.some(
          (event) => event.type === 'boot' && event.boot.bootId === request.bootId && event.boot.state === 'ended',
        ),
        'the end was not told',
      );
    });
  });

  test('getBoot() and stopBoot() refuse an unknown boot', async () => {
    await assert.rejects(backend().getBoot(newId('boot')), { code: 'not_found' });
    await assert.rejects(backend().stopBoot(newId('boot'), 0), { code: 'not_found' });
  });

  test('readLog() gives at most what was asked for', async () => {
    await withDisk(async (disk) => {
      await backend().startBoot(bootRequest(disk));
      assert.ok((await backend().readLog(disk.diskId, 10)).length <= 10);
    });
  });

  test('listGarbage() and collectGarbage() leave alone what is owned', async () => {
    await withDisk(async (disk) => {
      await backend().startBoot(bootRequest(disk));
      await backend().collectGarbage(0);
      const owned = (await backend().listGarbage()).filter((item) => item.diskId === disk.diskId);
      assert.deepEqual(owned, []);
      assert.ok((await backend().listDisks()).some((other) => other.diskId === disk.diskId));
    });
  });

  snapshotConformance(backend, { diskSpec, bootRequest });
}
