/** Snapshots that leave the host as files, and files that become snapshots. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Engine } from '@skerry/engine';
import { errorFields, type Log } from '@skerry/kit';
import type { OwnerBlob, SandboxId, SnapshotId } from '@skerry/model';
import type { ExportKeysConfig, HostImport } from '@skerry/protocol';
import { faultPoint } from '../fault-points.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { Draft } from '../snapshots/draft.ts';
import type { SnapshotMemory, SnapshotRecord } from '../snapshots/snapshot-record.ts';
import type { Snapshots } from '../snapshots/snapshots.ts';
import { createSubvolume, limitSubvolume, readQuotas, setReadOnly } from '../store/btrfs.ts';
import type { DiskSpace } from '../store/disk-space.ts';
import type { ExportManifest } from './export-manifest.ts';
import { exportSnapshot } from './export-snapshot.ts';
import { type ImportedFile, importSnapshot } from './import-snapshot.ts';
import { SigningKeys } from './signing-keys.ts';
import { stripOwner } from './strip-owner.ts';

export interface ExportsOptions {
  readonly keys: ExportKeysConfig;
  readonly mountPoint: string;
  /** A directory for the mount points of jails. */
  readonly runDir: string;
  readonly snapshots: Snapshots;
  readonly images: Pick<ImageStore, 'list'>;
  readonly space: Pick<DiskSpace, 'admit'>;
  readonly engine: Pick<Engine, 'whyNotRestorable'>;
  /** Whether the guest binary of this digest is kept here. */
  readonly hasGuest: (digest: string) => Promise<boolean>;
  /** Flushes the file system of the store. */
  readonly sync: () => Promise<void>;
  readonly log: Log;
}

export interface ImportSpec {
  readonly snapshotId: SnapshotId;
  readonly sandboxId: SandboxId;
  readonly owner: OwnerBlob;
}

const bytesPerMiB = 1024 * 1024;
/** An image is not believed to be larger. */
const mostImageBytes = 64 * 1024 * bytesPerMiB;
/** Room for what the file system itself needs for files. */
const metadataBytes = 256 * bytesPerMiB;

export class Exports {
  readonly #options: ExportsOptions;
  readonly #keys: SigningKeys;
  readonly #jail: string;

  private constructor(options: ExportsOptions, keys: SigningKeys, jail: string) {
    this.#options = options;
    this.#keys = keys;
    this.#jail = jail;
  }

  static async open(options: ExportsOptions): Promise<Exports> {
    const jail = join(options.runDir, 'jail');
    await mkdir(jail, { recursive: true, mode: 0o700 });
    return new Exports(options, await SigningKeys.open(options.keys, options.log), jail);
  }

  /** The bytes of a snapshot as one file; the snapshot cannot be deleted meanwhile. Throws `not_found` before the first byte. */
  async *export(
    snapshotId: SnapshotId,
    withMemory: boolean,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { snapshots, images } = this.#options;
    const record = snapshots.get(snapshotId);
    const done = snapshots.use(snapshotId);
    try {
      const image = images.list().find(({ name, key }) => name === record.image && key === record.imageKey);
      const { memory } = record;
      const manifest: ExportManifest = {
        formatVersion: 1,
        kind: withMemory && memory !== undefined ? 'memory' : 'disk',
        snapshotId,
        sandboxId: record.sandboxId,
        image: {
          name: record.image,
          key: record.imageKey,
          ...(image === undefined ? {} : { sizeBytes: image.sizeBytes }),
        },
        sizeMiB: record.sizeMiB,
        savedAtMs: record.savedAtMs,
        exportedAtMs: Date.now(),
        ...(withMemory && memory !== undefined ? { memory } : {}),
        owner: stripOwner(record.owner),
      };
      yield* exportSnapshot(
        {
          manifest,
          root: snapshots.rootOf(snapshotId),
          memoryDirectory: snapshots.memoryDirectoryOf(snapshotId),
          jail: this.#jail,
          sign: (digests) => this.#keys.sign(digests),
        },
        signal,
      );
    } finally {
      done();
    }
  }

  /** Makes a snapshot from such a file; whatever goes wrong, nothing of it is left. Throws `data_loss`, `unsupported`, `exhausted`, `conflict`. */
  async import(spec: ImportSpec, content: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<HostImport> {
    const { snapshots, space, log } = this.#options;
    await space.admit('an import');
    const draft = await snapshots.begin(spec.snapshotId);
    const lost: string[] = [];
    let exported: OwnerBlob;
    try {
      let unusable: string | undefined;
      const file = await importSnapshot(
        {
          content,
          jail: this.#jail,
          admit: () => space.admit('an import'),
          prepare: async (manifest) => {
            unusable = await this.#whyMemoryUnusable(manifest.memory);
            const limitBytes = treeLimitBytes(manifest);
            await createSubvolume(draft.root);
            await limitSubvolume(draft.root, limitBytes);
            if (manifest.memory === undefined || unusable !== undefined)
              return { root: draft.root, memoryDirectory: undefined, mostTreeBytes: mostTarBytes(limitBytes) };
            await draft.makeMemoryDirectory();
            return {
              root: draft.root,
              memoryDirectory: draft.memoryDirectory,
              mostTreeBytes: mostTarBytes(limitBytes),
            };
          },
        },
        signal,
      );
      faultPoint('snapshots.import.unpacked');
      const memory = await this.#judgeMemory(file, draft, unusable, lost);
      const { manifest } = file;
      if (!this.#options.images.list().some(({ name }) => name === manifest.image.name))
        lost.push(`the settings of image "${manifest.image.name}", which this host does not have`);
      faultPoint('snapshots.import.judged');
      await setReadOnly(draft.root, true);
      await this.#options.sync();
      await draft.publish(await this.#record(spec, manifest, memory));
      exported = manifest.owner;
    } catch (error) {
      await draft.discard().catch((cause: unknown) =>
        log.error('What a failed import left cannot be removed', {
          snapshotId: spec.snapshotId,
          ...errorFields(cause),
        }),
      );
      throw error;
    }
    return { snapshot: await snapshots.report(spec.snapshotId), exported, lost };
  }

  /** Keeps the memory only when it can be used and comes from somebody who is trusted; says in `lost` why not. */
  async #judgeMemory(
    file: ImportedFile,
    draft: Draft,
    unusable: string | undefined,
    lost: string[],
  ): Promise<SnapshotMemory | undefined> {
    const { memory } = file.manifest;
    if (memory === undefined) return undefined;
    const why = unusable ?? (await this.#keys.whyNotTrusted(file.digests, file.signature));
    if (why !== undefined) {
      await rm(draft.memoryDirectory, { recursive: true, force: true });
      lost.push(`memory and processes: ${why}`);
      return undefined;
    }
    return { ...memory, files: await draft.sealMemory() };
  }

  async #whyMemoryUnusable(memory: SnapshotMemory | undefined): Promise<string | undefined> {
    if (memory === undefined) return undefined;
    if (!(await this.#options.hasGuest(memory.guestDigest)))
      return 'the guest program that it was saved with is not on this host';
    return this.#options.engine.whyNotRestorable(memory.format);
  }

  async #record(
    spec: ImportSpec,
    manifest: ExportManifest,
    memory: SnapshotMemory | undefined,
  ): Promise<SnapshotRecord> {
    const { image, sizeMiB, savedAtMs } = manifest;
    return {
      formatVersion: 1,
      ...spec,
      kind: memory === undefined ? 'disk' : 'memory',
      origin: 'import',
      image: image.name,
      imageKey: image.key,
      sizeMiB,
      inheritedBytes: Math.min(await this.#beyondImageBytes(spec.snapshotId, manifest), sizeMiB * bytesPerMiB),
      createdAtMs: Date.now(),
      savedAtMs,
      ...(memory === undefined ? {} : { memory }),
    };
  }

  /** What the unpacked tree takes beyond its image, by what this host measures: the file may say anything. */
  async #beyondImageBytes(snapshotId: SnapshotId, { image }: ExportManifest): Promise<number> {
    const quotas = await readQuotas(this.#options.mountPoint);
    const usedBy = (path: RegExp): number | undefined => quotas.find((quota) => path.test(quota.path))?.usedBytes;
    const tree = usedBy(new RegExp(`(?:^|/)snapshots/${snapshotId}[^/]*/root$`)) ?? 0;
    const own = usedBy(new RegExp(`(?:^|/)images/${image.name}-[a-z0-9]+/root$`));
    return Math.max(0, tree - (own ?? Math.min(image.sizeBytes ?? 0, mostImageBytes)));
  }
}

/** What the tree may take while it is unpacked: all that may be written on top of the image, and the image. */
function treeLimitBytes({ sizeMiB, image }: ExportManifest): number {
  return (
    sizeMiB * bytesPerMiB +
    Math.min(mostImageBytes, Math.ceil((image.sizeBytes ?? mostImageBytes) * 1.5)) +
    metadataBytes
  );
}

/** A tar has heads that the tree has not: some KiB a file. */
function mostTarBytes(limitBytes: number): number {
  return limitBytes * 4;
}
