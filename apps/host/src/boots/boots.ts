/** All boots of the host, by id: `boots/<id>/boot.json` and what the engine keeps there. */
import { randomBytes } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { errorFields, readFileIfExists } from '@skerry/kit';
import {
  type BootActivity,
  type BootId,
  type BootReport,
  type EngineIdentity,
  isId,
  Problem,
  randomLabel,
} from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import { admitBoot } from './admission.ts';
import { Boot } from './boot.ts';
import type { FeedEvent } from './boot-feed.ts';
import type { BootParts } from './boot-parts.ts';
import { type BootSpec, parseBootRecord } from './boot-record.ts';
import type { SaveRequest } from './saving.ts';
import { Slots } from './slots.ts';
import { isMissing } from '../store/missing.ts';

/** How many boots may start at the same time: more would only wait for the processors together, and all be late. */
const startsPerCpu = 3;

export class Boots {
  readonly #parts: BootParts;
  readonly #boots = new Map<BootId, Boot>();
  readonly #starts = new Slots(Math.max(4, cpus().length * startsPerCpu));
  readonly #deleting = new Map<BootId, Promise<void>>();

  private constructor(parts: BootParts) {
    this.#parts = parts;
  }

  /** Takes over the boots of an earlier daemon: what runs goes on, what was half started is undone, what ended meanwhile is noticed. */
  static async open(parts: BootParts): Promise<Boots> {
    const boots = new Boots(parts);
    for (const entry of await readdir(parts.directory)) {
      if (!isId('boot', entry)) continue;
      const text = await readFileIfExists(join(parts.directory, entry, 'boot.json'));
      if (text === undefined) continue;
      try {
        boots.#boots.set(entry, new Boot(parts, parseBootRecord(text)));
      } catch (error) {
        parts.log.error('A boot is not taken over: its record is not readable', {
          bootId: entry,
          ...errorFields(error),
        });
      }
    }
    for (const boot of boots.#boots.values()) {
      const { spec, cleaned } = boot.record;
      if (cleaned) continue;
      try {
        parts.disks.hold(spec.diskId, spec.bootId);
      } catch (error) {
        parts.log.error('A boot of an earlier daemon has no disk', { bootId: spec.bootId, ...errorFields(error) });
      }
    }
    await Promise.all([...boots.#boots.values()].map((boot) => boot.resume()));
    return boots;
  }

  /** Starts a boot and returns when its guest answers, or when that has failed: then it is reported `ended`. The same id gives the same boot. */
  async put(spec: BootSpec): Promise<BootReport> {
    if (!this.#boots.has(spec.bootId)) await this.#parts.space.admit('a new boot');
    const existing = this.#boots.get(spec.bootId);
    if (existing !== undefined) {
      const { sandboxId, diskId } = existing.record.spec;
      if (sandboxId !== spec.sandboxId || diskId !== spec.diskId)
        throw new Problem('precondition_failed', `Boot "${spec.bootId}" belongs to sandbox "${sandboxId}" already`, {
          reason: 'boot_id_taken',
        });
      return existing.started();
    }
    const { disks, description, limits, hostBootId } = this.#parts;
    if (disks.get(spec.diskId).sandboxId !== spec.sandboxId)
      throw new Problem('precondition_failed', `Disk "${spec.diskId}" belongs to another sandbox`, {
        reason: 'disk_of_another',
      });
    admitBoot(spec, this.running(), limits, description);
    disks.hold(spec.diskId, spec.bootId);
    const guest = this.#guestFor(spec);
    const boot = new Boot(this.#parts, {
      formatVersion: 1,
      spec,
      engine: this.#engineFor(spec),
      guestPath: guest.path,
      guestDigest: guest.digest,
      secret: randomBytes(24).toString('hex'),
      generationId: randomBytes(16).toString('hex'),
      hostBootId,
      state: 'starting',
      startedAtMs: Date.now(),
      cleaned: false,
    });
    this.#boots.set(spec.bootId, boot);
    return boot.start((work) => this.#starts.run(work));
  }

  /** The guest that a boot runs with: saved memory holds parts of its guest, and needs the very same. */
  #guestFor({ restoreFrom }: BootSpec): { readonly path: string; readonly digest: string } {
    const { snapshots, guest, guestPathOf } = this.#parts;
    const saved =
      restoreFrom !== undefined && snapshots.has(restoreFrom) ? snapshots.get(restoreFrom).memory : undefined;
    return saved === undefined ? guest : { path: guestPathOf(saved.guestDigest), digest: saved.guestDigest };
  }

  /** The build of the engine that a boot runs with: only the one that saved memory reads it. */
  #engineFor({ restoreFrom }: BootSpec): EngineIdentity {
    const { snapshots, description } = this.#parts;
    const saved =
      restoreFrom !== undefined && snapshots.has(restoreFrom) ? snapshots.get(restoreFrom).memory : undefined;
    const { name, version, build, isolation } = description;
    return saved?.engine ?? { name, version, build, isolation };
  }

  /** Makes a snapshot of a boot; see `Boot.save`. Throws `not_found`. */
  async save(bootId: BootId, request: SaveRequest): Promise<void> {
    await this.#find(bootId).save(request);
  }

  /** Resolves when a boot that is on its way to its end has ended; at once for one that is not known. */
  async settled(bootId: BootId): Promise<void> {
    await this.#boots.get(bootId)?.settled();
  }

  async freeze(bootId: BootId): Promise<void> {
    await this.#find(bootId).freeze();
  }

  async thaw(bootId: BootId): Promise<void> {
    await this.#find(bootId).thaw();
  }

  /** What every running boot uses. One that ends meanwhile is left out. */
  async activity(): Promise<BootActivity[]> {
    const samples = await Promise.all(
      [...this.#boots.values()].map((boot) =>
        boot.activity().catch((error: unknown) => {
          if (boot.record.state === 'running')
            this.#parts.log.warn('What a boot uses is not known', {
              bootId: boot.record.spec.bootId,
              ...errorFields(error),
            });
          return undefined;
        }),
      ),
    );
    return samples.filter((sample) => sample !== undefined);
  }

  async stop(bootId: BootId, graceMs: number): Promise<BootReport> {
    return this.#find(bootId).stop(graceMs);
  }

  /** Forgets a boot and removes all of it, ending it first. An absent one is fine. */
  async delete(bootId: BootId): Promise<void> {
    const boot = this.#boots.get(bootId);
    const deleting =
      this.#deleting.get(bootId) ??
      (boot === undefined ? this.#sweep(bootId) : this.#delete(boot)).finally(() => this.#deleting.delete(bootId));
    this.#deleting.set(bootId, deleting);
    await deleting;
  }

  get(bootId: BootId): BootReport {
    return this.#find(bootId).report();
  }

  list(): BootReport[] {
    return [...this.#boots.values()].map((boot) => boot.report());
  }

  watch(signal: AbortSignal): AsyncIterable<FeedEvent> {
    return this.#parts.feed.watch(() => this.list(), signal);
  }

  /** How many have not ended. */
  running(): number {
    return this.#boots.values().reduce((count, boot) => count + (boot.ended ? 0 : 1), 0);
  }

  /** Guest binaries that boots which have not ended were started with. */
  guestDigests(): string[] {
    return [...this.#boots.values()].filter((boot) => !boot.ended).map((boot) => boot.record.guestDigest);
  }

  knows(bootId: string): boolean {
    return this.#boots.has(bootId as BootId);
  }

  async #delete(boot: Boot): Promise<void> {
    const { bootId } = boot.record.spec;
    await boot.stop(0);
    const removed = join(this.#parts.trashDirectory, `${bootId}.${randomLabel(6)}`);
    await rename(join(this.#parts.directory, bootId), removed).catch((error: unknown) => {
      // A boot whose first record could not be written has no directory.
      if (!isMissing(error)) throw error;
    });
    faultPoint('boots.delete.renamed');
    this.#boots.delete(bootId);
    await rm(removed, { recursive: true, force: true });
    faultPoint('boots.delete.removed');
    this.#parts.feed.forgotten(bootId);
  }

  /** Removes what an interrupted deletion left in the trash. */
  async #sweep(bootId: BootId): Promise<void> {
    const { trashDirectory } = this.#parts;
    for (const entry of await readdir(trashDirectory))
      if (entry.startsWith(`${bootId}.`)) await rm(join(trashDirectory, entry), { recursive: true, force: true });
  }

  #find(bootId: BootId): Boot {
    const boot = this.#boots.get(bootId);
    if (boot === undefined)
      throw new Problem('not_found', `There is no boot "${bootId}"`, { reason: 'boot_not_found' });
    return boot;
  }
}
