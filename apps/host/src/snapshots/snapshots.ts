/** Saved states: `snapshots/<id>/{snapshot.json,root,memory}`. One exists when its directory has its name: until then it is a draft. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Engine, EngineMemoryFormat } from '@skerry/engine';
import { errorFields, KeyedSerial, type Log, readFileIfExists, runCommand } from '@skerry/kit';
import { isId, type OwnerBlob, Problem, type SnapshotId, type SnapshotReport } from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import type { Trash } from '../store/trash.ts';
import { Draft, draftSuffix } from './draft.ts';
import { checkMemory, verifyMemory } from './memory-files.ts';
import type { SnapshotFiles } from './snapshot-files.ts';
import { formatSnapshotRecord, parseSnapshotRecord, type SnapshotRecord } from './snapshot-record.ts';

export interface SnapshotsOptions {
  /** `snapshots` of the store. */
  readonly directory: string;
  readonly trash: Pick<Trash, 'take' | 'erase' | 'settled'>;
  readonly files: SnapshotFiles;
  readonly engine: Pick<Engine, 'whyNotRestorable' | 'retainBuilds'>;
  /** Whether the guest binary of this digest is kept here. */
  readonly hasGuest: (digest: string) => Promise<boolean>;
  /** What the files of snapshots take. */
  readonly space: (records: readonly SnapshotRecord[]) => Promise<ReadonlyMap<SnapshotId, SnapshotSpace>>;
  readonly log: Log;
}

/** Space of one snapshot, in `bytes`. */
export interface SnapshotSpace {
  /** What its tree has beyond the image, shared with others or not. */
  readonly diskBytes: number;
  /** What its deletion would free, memory included. */
  readonly exclusiveBytes: number;
}

const readDeadlineMs = 3_600_000;

export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #records = new Map<SnapshotId, SnapshotRecord>();
  readonly #drafts = new Set<SnapshotId>();
  readonly #unreadable = new Set<string>();
  /** How many boots are being restored from a snapshot now. */
  readonly #uses = new Map<SnapshotId, number>();
  readonly #serial = new KeyedSerial<SnapshotId>();

  private constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** Reads every snapshot there is. What an earlier daemon had half made goes to the trash. */
  static async open(options: SnapshotsOptions): Promise<Snapshots> {
    const snapshots = new Snapshots(options);
    for (const entry of await readdir(options.directory)) {
      if (entry.endsWith(draftSuffix)) {
        await options.trash.take(join(options.directory, entry));
        continue;
      }
      if (!isId('snapshot', entry)) continue;
      try {
        const text = await readFileIfExists(join(options.directory, entry, 'snapshot.json'));
        snapshots.#records.set(entry, parseSnapshotRecord(text ?? ''));
      } catch (error) {
        snapshots.#unreadable.add(entry);
        options.log.error('A snapshot cannot be used: its record is not readable', {
          snapshotId: entry,
          ...errorFields(error),
        });
      }
    }
    return snapshots;
  }

  has(snapshotId: SnapshotId): boolean {
    return this.#records.has(snapshotId);
  }

  /** Whether a directory here is a snapshot, is becoming one, or may be one that only another version of Skerry reads. */
  knows(entry: string): boolean {
    const id = entry.endsWith(draftSuffix) ? entry.slice(0, -draftSuffix.length) : entry;
    if (!isId('snapshot', id)) return false;
    if (entry !== id) return this.#drafts.has(id);
    return this.#records.has(id) || this.#drafts.has(id) || this.#serial.busy(id);
  }

  /** Whether a directory has the name of a snapshot and a record that cannot be read. It is never removed without being asked for by its id. */
  isUnreadable(entry: string): boolean {
    return this.#unreadable.has(entry);
  }

  /** Throws `not_found`. */
  get(snapshotId: SnapshotId): SnapshotRecord {
    const record = this.#records.get(snapshotId);
    if (record !== undefined) return record;
    if (this.#unreadable.has(snapshotId))
      throw new Problem('data_loss', `The record of snapshot "${snapshotId}" is not readable`, {
        reason: 'snapshot_record_unreadable',
        hint: 'It may have been written by a later version of Skerry. Deleting it is possible.',
      });
    throw new Problem('not_found', `There is no snapshot "${snapshotId}"`, { reason: 'snapshot_not_found' });
  }

  list(): readonly SnapshotRecord[] {
    return [...this.#records.values()];
  }

  /** The read-only tree of its files. */
  rootOf(snapshotId: SnapshotId): string {
    return join(this.#options.directory, snapshotId, 'root');
  }

  memoryDirectoryOf(snapshotId: SnapshotId): string {
    return join(this.#options.directory, snapshotId, 'memory');
  }

  /** Begins a snapshot with this id. Throws `conflict` when there is one or one is being made. */
  async begin(snapshotId: SnapshotId): Promise<Draft> {
    if (this.#records.has(snapshotId) || this.#unreadable.has(snapshotId) || this.#drafts.has(snapshotId))
      throw new Problem('conflict', `Snapshot "${snapshotId}" exists already`, { reason: 'snapshot_id_taken' });
    this.#drafts.add(snapshotId);
    const { directory, trash, files } = this.#options;
    try {
      const target = join(directory, snapshotId);
      const path = `${target}${draftSuffix}`;
      const discard = async (): Promise<void> => {
        // A draft whose name could not be made durable may have it all the same.
        const names = [await trash.take(path), await trash.take(target)];
        for (const name of names) if (name !== undefined) await trash.erase(name);
      };
      await discard();
      await files.makeDirectory(path);
      faultPoint('snapshots.create.directory');
      return new Draft({
        path,
        target,
        files,
        published: (record) => void this.#records.set(snapshotId, record),
        discard,
        over: () => void this.#drafts.delete(snapshotId),
      });
    } catch (error) {
      this.#drafts.delete(snapshotId);
      throw error;
    }
  }

  async setOwner(snapshotId: SnapshotId, owner: OwnerBlob): Promise<void> {
    await this.#serial.run(snapshotId, async () => {
      const record = { ...this.get(snapshotId), owner };
      await this.#options.files.writeRecord(
        join(this.#options.directory, snapshotId, 'snapshot.json'),
        formatSnapshotRecord(record),
      );
      this.#records.set(snapshotId, record);
    });
  }

  /** Keeps a snapshot from being deleted until the result is called. Throws `not_found`. */
  use(snapshotId: SnapshotId): () => void {
    this.get(snapshotId);
    this.#uses.set(snapshotId, (this.#uses.get(snapshotId) ?? 0) + 1);
    let used = true;
    return () => {
      if (used) this.#uses.set(snapshotId, (this.#uses.get(snapshotId) ?? 1) - 1);
      used = false;
    };
  }

  /** Deletes a snapshot; nothing readable of it is left when this returns. An absent one is fine. Throws `conflict` while it is in use. */
  async delete(snapshotId: SnapshotId): Promise<void> {
    await this.#serial.run(snapshotId, async () => {
      if ((this.#uses.get(snapshotId) ?? 0) > 0 || this.#drafts.has(snapshotId))
        throw new Problem('conflict', `Snapshot "${snapshotId}" is in use now`, {
          reason: 'snapshot_in_use',
          hint: 'Wait until the sandbox that starts from it runs, then try again.',
        });
      const { directory, trash } = this.#options;
      const name = await trash.take(join(directory, snapshotId));
      this.#records.delete(snapshotId);
      this.#unreadable.delete(snapshotId);
      faultPoint('snapshots.delete.renamed');
      if (name !== undefined) await trash.erase(name);
      else await trash.settled(snapshotId);
    });
    await this.retainBuilds();
  }

  /** Looks at sizes and beginnings of the memory files. Throws `data_loss`. */
  async checkMemory(snapshotId: SnapshotId): Promise<void> {
    await checkMemory(this.memoryDirectoryOf(snapshotId), this.get(snapshotId).memory?.files ?? []);
  }

  /**
   * Reads all of a snapshot: memory against its digests, and every file, whose blocks the file system compares with the checksums that it keeps.
   * Throws `data_loss`.
   */
  async verify(snapshotId: SnapshotId, signal?: AbortSignal): Promise<void> {
    const done = this.use(snapshotId);
    try {
      await verifyMemory(this.memoryDirectoryOf(snapshotId), this.get(snapshotId).memory?.files ?? [], signal);
      await readTree(this.rootOf(snapshotId), signal);
    } finally {
      done();
    }
  }

  /** Why its memory cannot be brought back here; `undefined` when it can, or has none. */
  async whyMemoryUnusable(record: SnapshotRecord): Promise<string | undefined> {
    const { memory } = record;
    if (memory === undefined) return undefined;
    if (!(await this.#options.hasGuest(memory.guestDigest)))
      return 'The guest program that it was saved with is no longer here';
    return this.#options.engine.whyNotRestorable(memory.format);
  }

  async report(snapshotId: SnapshotId): Promise<SnapshotReport> {
    return this.#report(this.get(snapshotId), await this.#options.space([this.get(snapshotId)]));
  }

  async reports(): Promise<SnapshotReport[]> {
    const records = this.list();
    const space = await this.#options.space(records);
    return Promise.all(records.map((record) => this.#report(record, space)));
  }

  /** Guest binaries that snapshots need. */
  guestDigests(): string[] {
    return this.list().flatMap(({ memory }) => (memory === undefined ? [] : [memory.guestDigest]));
  }

  /** Lets the engine forget the builds that no snapshot needs any more. */
  async retainBuilds(): Promise<void> {
    const formats: EngineMemoryFormat[] = this.list().flatMap(({ memory }) =>
      memory === undefined ? [] : [memory.format],
    );
    await this.#options.engine
      .retainBuilds(formats)
      .catch((error: unknown) =>
        this.#options.log.error('Old builds of the engine cannot be removed', errorFields(error)),
      );
  }

  async #report(record: SnapshotRecord, space: ReadonlyMap<SnapshotId, SnapshotSpace>): Promise<SnapshotReport> {
    const { snapshotId, sandboxId, kind, image, sizeMiB, memory, createdAtMs, stallMs, owner } = record;
    const memoryUnusable = await this.whyMemoryUnusable(record);
    const memoryBytes = memory?.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0;
    return {
      snapshotId,
      sandboxId,
      kind,
      image,
      sizeMiB,
      ...(memory === undefined
        ? {}
        : { memoryMiB: memory.memoryMiB, engine: memory.engine, guestDigest: memory.guestDigest }),
      ...(memoryUnusable === undefined ? {} : { memoryUnusable }),
      createdAtMs,
      ...(stallMs === undefined ? {} : { stallMs }),
      // A snapshot that was deleted meanwhile has no space.
      ...(space.get(snapshotId) ?? { diskBytes: record.inheritedBytes, exclusiveBytes: memoryBytes }),
      memoryBytes,
      owner,
    };
  }
}

/** Reads every file of a tree and throws the content away. Throws `data_loss` when one cannot be read. */
async function readTree(root: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    // The names come from a sandbox: they are never part of a command line that a shell reads.
    await runCommand(
      'find',
      [root, '-xdev', '-type', 'f', '-exec', 'sh', '-c', 'cat -- "$@" >/dev/null', 'sh', '{}', '+'],
      {
        deadlineMs: readDeadlineMs,
        ...(signal === undefined ? {} : { signal }),
      },
    );
  } catch (error) {
    if (signal?.aborted === true) throw Problem.from(signal.reason);
    throw new Problem('data_loss', 'A file of the snapshot cannot be read', {
      reason: 'snapshot_damaged',
      hint: "The kernel's log names the block. Restore from another snapshot.",
      cause: error,
    });
  }
}
