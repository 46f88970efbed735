/** What every backend must do with snapshots, and with boots that rest in RAM. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BootId, newId, type SnapshotId } from '@skerry/model';
import type { Backend, BootRequest, DiskSpec, SnapshotSpec } from './backend.ts';
import type { ConformanceParts } from './conformance.ts';

/** What a test made, so that it can be removed whatever happened. */
class Made implements AsyncDisposable {
  readonly #backend: Backend;
  readonly #parts: ConformanceParts;
  readonly #disks: DiskSpec[] = [];
  readonly #snapshots: SnapshotId[] = [];

  constructor(backend: Backend, parts: ConformanceParts) {
    this.#backend = backend;
    this.#parts = parts;
  }

  async disk(patch: Partial<DiskSpec> = {}): Promise<DiskSpec> {
    const spec: DiskSpec = { ...this.#parts.diskSpec(), ...patch };
    this.#disks.push(spec);
    await this.#backend.createDisk(spec);
    return spec;
  }

  /** Boots a disk and checks that it runs. */
  async boot(disk: DiskSpec, patch: Partial<BootRequest> = {}): Promise<BootId> {
    const request = { ...this.#parts.bootRequest(disk), ...patch };
    const report = await this.#backend.startBoot(request);
    assert.equal(report.state, 'running', JSON.stringify(report));
    return request.bootId;
  }

  spec(disk: DiskSpec, source: SnapshotSpec['source'], origin: SnapshotSpec['origin'] = 'user'): SnapshotSpec {
    const snapshotId = newId('snapshot');
    this.#snapshots.push(snapshotId);
    return { snapshotId, sandboxId: disk.sandboxId, source, origin, owner: disk.owner };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const disks = new Set(this.#disks.map((disk) => disk.diskId));
    for (const boot of await this.#backend.listBoots())
      if (disks.has(boot.diskId)) await this.#backend.deleteBoot(boot.bootId);
    for (const id of this.#snapshots) await this.#backend.deleteSnapshot(id);
    for (const id of disks) await this.#backend.deleteDisk(id);
  }
}

async function readAll(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* bytesOf(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536);
}

/** Declares the tests. */
export function snapshotConformance(backend: () => Backend, parts: ConformanceParts): void {
  const check = (name: string, work: (host: Backend, made: Made) => Promise<void>): void =>
    void test(name, async () => {
      await using made = new Made(backend(), parts);
      await work(backend(), made);
    });

  check('createSnapshot() with end saves a boot and ends it, and repeats to the same', async (host, made) => {
    const disk = await made.disk();
    const bootId = await made.boot(disk);
    const spec = made.spec(disk, { type: 'boot', bootId, memory: true, end: true }, 'pause');
    const [first, shared] = await Promise.all([host.createSnapshot(spec), host.createSnapshot(spec)]);
    assert.deepEqual([first.kind, first.image, first.sizeMiB], ['memory', disk.image, disk.sizeMiB]);
    assert.ok(first.memoryBytes > 0 && first.engine !== undefined && first.memoryMiB !== undefined);
    assert.equal(shared.createdAtMs, first.createdAtMs);
    const ended = await host.getBoot(bootId);
    assert.deepEqual([ended.state, ended.exit?.reason], ['ended', 'paused']);
    assert.equal((await host.createSnapshot(spec)).createdAtMs, first.createdAtMs);
    assert.equal((await host.getSnapshot(spec.snapshotId)).snapshotId, spec.snapshotId);
    assert.ok((await host.listSnapshots()).some((one) => one.snapshotId === spec.snapshotId));
    await host.verifySnapshot(spec.snapshotId);
  });

  check('startBoot() goes on from a pause point of its own disk, once', async (host, made) => {
    const disk = await made.disk();
    const bootId = await made.boot(disk);
    const { snapshotId } = await host.createSnapshot(
      made.spec(disk, { type: 'boot', bootId, memory: true, end: true }, 'pause'),
    );
    await host.deleteBoot(bootId);
    const resumed = await made.boot(disk, { restoreFrom: snapshotId, restoreAs: 'resume', generation: 2 });
    await host.stopBoot(resumed, 0);
    await host.deleteBoot(resumed);
    const again = await host.startBoot({ ...parts.bootRequest(disk), restoreFrom: snapshotId, restoreAs: 'resume' });
    assert.deepEqual([again.state, again.exit?.reason], ['ended', 'restore_failed'], JSON.stringify(again));
    await host.deleteBoot(again.bootId);
    await made.boot(disk);
  });

  check('a boot whose snapshot is not there ends as restore_failed, and its disk boots cold', async (host, made) => {
    const disk = await made.disk();
    const report = await host.startBoot({
      ...parts.bootRequest(disk),
      restoreFrom: newId('snapshot'),
      restoreAs: 'resume',
    });
    assert.deepEqual([report.state, report.exit?.reason], ['ended', 'restore_failed'], JSON.stringify(report));
    await host.deleteBoot(report.bootId);
    await made.boot(disk);
  });

  check('createSnapshot() without end leaves the boot running, and forks run beside it', async (host, made) => {
    const disk = await made.disk();
    const bootId = await made.boot(disk);
    const report = await host.createSnapshot(
      made.spec(disk, { type: 'boot', bootId, memory: true, end: false }, 'fork'),
    );
    assert.ok(report.stallMs !== undefined, 'the stall is not told');
    assert.equal((await host.getBoot(bootId)).state, 'running');
    const forks = await Promise.all(
      [1, 2].map(async () => {
        const copy = await made.disk({ snapshotId: report.snapshotId });
        return made.boot(copy, { restoreFrom: report.snapshotId, restoreAs: 'fork' });
      }),
    );
    const addresses = await Promise.all([bootId, ...forks].map(async (id) => (await host.getBoot(id)).address));
    assert.equal(new Set(addresses).size, 3, JSON.stringify(addresses));
  });

  check('createSnapshot() of files: of a running boot, of a disk at rest, and of a snapshot', async (host, made) => {
    const disk = await made.disk();
    const bootId = await made.boot(disk);
    const running = await host.createSnapshot(made.spec(disk, { type: 'boot', bootId, memory: false, end: false }));
    assert.deepEqual([running.kind, running.memoryBytes], ['disk', 0]);
    await assert.rejects(host.createSnapshot(made.spec(disk, { type: 'disk', diskId: disk.diskId })), {
      code: 'conflict',
    });
    await host.stopBoot(bootId, 0);
    await host.deleteBoot(bootId);
    const resting = await host.createSnapshot(made.spec(disk, { type: 'disk', diskId: disk.diskId }));
    assert.equal(resting.kind, 'disk');
    const copy = await host.createSnapshot(made.spec(disk, { type: 'snapshot', snapshotId: resting.snapshotId }));
    await host.deleteSnapshot(resting.snapshotId);
    const from = await made.disk({ snapshotId: copy.snapshotId });
    await made.boot(from);
    const same = await host.diff({ snapshotId: copy.snapshotId }, { snapshotId: running.snapshotId }, 100_000);
    assert.equal(same.truncated, false);
  });

  check('a copy of a pause point outlives the point, its disk and a fork of it', async (host, made) => {
    const disk = await made.disk();
    const bootId = await made.boot(disk);
    const point = await host.createSnapshot(
      made.spec(disk, { type: 'boot', bootId, memory: true, end: true }, 'pause'),
    );
    const copy = await host.createSnapshot(made.spec(disk, { type: 'snapshot', snapshotId: point.snapshotId }));
    assert.deepEqual([copy.kind, copy.memoryBytes], ['memory', point.memoryBytes]);
    await host.deleteBoot(bootId);
    await host.deleteSnapshot(point.snapshotId);
    await host.deleteDisk(disk.diskId);
    const fork = await made.disk({ snapshotId: copy.snapshotId });
    const forked = await made.boot(fork, { restoreFrom: copy.snapshotId, restoreAs: 'fork' });
    await host.deleteSnapshot(copy.snapshotId);
    assert.equal((await host.getBoot(forked)).state, 'running');
  });

  check('createSnapshot() refuses a boot that has ended, and one that is not there', async (host, made) => {
    const disk = await made.disk();
    const bootId = await made.boot(disk);
    await host.stopBoot(bootId, 0);
    const ended = made.spec(disk, { type: 'boot', bootId, memory: true, end: true });
    await assert.rejects(host.createSnapshot(ended), { code: 'precondition_failed' });
    await assert.rejects(host.getSnapshot(ended.snapshotId), { code: 'not_found' });
    const absent = made.spec(disk, { type: 'boot', bootId: newId('boot'), memory: true, end: true });
    await assert.rejects(host.createSnapshot(absent), { code: 'not_found' });
  });

  check('what is asked of a snapshot that is not there is not_found, but for its deletion', async (host) => {
    const snapshotId = newId('snapshot');
    await assert.rejects(host.getSnapshot(snapshotId), { code: 'not_found' });
    await assert.rejects(host.verifySnapshot(snapshotId), { code: 'not_found' });
    await assert.rejects(host.setSnapshotOwner(snapshotId, parts.diskSpec().owner), { code: 'not_found' });
    await assert.rejects(readAll(host.exportSnapshot(snapshotId, true)), { code: 'not_found' });
    await assert.rejects(host.createDisk({ ...parts.diskSpec(), snapshotId }), { code: 'not_found' });
    await host.deleteSnapshot(snapshotId);
  });

  check('setSnapshotOwner() is seen in the list', async (host, made) => {
    const disk = await made.disk();
    const { snapshotId } = await host.createSnapshot(made.spec(disk, { type: 'disk', diskId: disk.diskId }));
    const owner = { ...disk.owner, sandbox: { name: 'renamed' } };
    await host.setSnapshotOwner(snapshotId, owner);
    const found = (await host.listSnapshots()).find((one) => one.snapshotId === snapshotId);
    assert.deepEqual(found?.owner, owner);
  });

  check('exportSnapshot() and importSnapshot() go round, and a damaged file is refused', async (host, made) => {
    const disk = await made.disk();
    const { snapshotId } = await host.createSnapshot(made.spec(disk, { type: 'disk', diskId: disk.diskId }));
    const file = await readAll(host.exportSnapshot(snapshotId, false));
    const target = made.spec(disk, { type: 'snapshot', snapshotId }, 'import');
    const sandboxId = newId('sandbox');
    const owner = { ...disk.owner, sandbox: { name: 'imported' } };
    const imported = await host.importSnapshot(target.snapshotId, sandboxId, owner, bytesOf(file));
    assert.deepEqual(
      [imported.snapshot.snapshotId, imported.snapshot.sandboxId, imported.exported, imported.lost],
      [target.snapshotId, sandboxId, disk.owner, []],
    );
    const difference = await host.diff({ snapshotId }, { snapshotId: target.snapshotId }, 10);
    assert.deepEqual(difference.changes, []);
    const damaged = Buffer.from(file);
    damaged.writeUInt8(damaged.readUInt8(damaged.length >> 1) ^ 1, damaged.length >> 1);
    const other = made.spec(disk, { type: 'snapshot', snapshotId }, 'import');
    await assert.rejects(host.importSnapshot(other.snapshotId, sandboxId, owner, bytesOf(damaged)), {
      code: 'data_loss',
    });
    await assert.rejects(host.getSnapshot(other.snapshotId), { code: 'not_found' });
  });

  check('freezeBoot() and thawBoot() repeat, and every verb that needs the boot thaws it', async (host, made) => {
    const disk = await made.disk();
    const bootId = await made.boot(disk);
    const isFrozen = async (): Promise<boolean | undefined> =>
      (await host.sampleActivity()).find((sample) => sample.bootId === bootId)?.frozen;
    assert.equal(await isFrozen(), false);
    await host.freezeBoot(bootId);
    await host.freezeBoot(bootId);
    assert.equal(await isFrozen(), true);
    await host.thawBoot(bootId);
    await host.thawBoot(bootId);
    assert.equal(await isFrozen(), false);
    await host.freezeBoot(bootId);
    await host.createSnapshot(made.spec(disk, { type: 'boot', bootId, memory: true, end: true }, 'pause'));
    assert.equal((await host.getBoot(bootId)).exit?.reason, 'paused');
    assert.equal(await isFrozen(), undefined);
    await assert.rejects(host.freezeBoot(newId('boot')), { code: 'not_found' });
  });
}
