/** Makes a snapshot of a boot that runs. Whatever fails before the snapshot is complete, the boot goes on as if nothing had been asked. */
import type { EngineMemoryFormat } from '@skerry/engine';
import { errorFields } from '@skerry/kit';
import { type OwnerBlob, Problem, type SandboxId, type SnapshotId, type SnapshotOrigin } from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import { resumeGuest, suspendGuest } from '../guest/guest-control.ts';
import type { Draft } from '../snapshots/draft.ts';
import { savingProblem } from '../snapshots/saving-problem.ts';
import type { SnapshotMemory } from '../snapshots/snapshot-record.ts';
import { withoutSaving } from './boot-file.ts';
import type { BootContext } from './boot-parts.ts';
import { guestAddress } from './guest-link.ts';
import { logHooks } from './hooks.ts';
import { untilDone } from './waiting.ts';

/** What is to be saved of a boot. */
export interface SaveRequest {
  readonly snapshotId: SnapshotId;
  readonly sandboxId: SandboxId;
  readonly origin: SnapshotOrigin;
  readonly owner: OwnerBlob;
  readonly memory: boolean;
  /** Whether the boot ends once the snapshot is complete: it is left suspended then. */
  readonly end: boolean;
}

/** How long a sandbox's own hooks may take together before it is saved. */
const hooksDeadlineMs = 10_000;
const guestResumeDeadlineMs = 20_000;
/** What an image takes beyond the memory that is in use. */
const imageOverheadBytes = 64 * 1024 * 1024;

/** What has been done, and is to be undone when saving fails. */
interface Progress {
  draft?: Draft;
  /** Its guest holds requests back or all of it stands still, or may. */
  held: boolean;
  /** The disk says that it has the files of the snapshot, or may. */
  marked: boolean;
}

/** One instant of a boot, as it lies in a draft. */
interface Copied {
  readonly savedAtMs: number;
  readonly stallMs: number;
  /** Only when memory was asked for. */
  readonly format?: EngineMemoryFormat;
}

/** Returns when the snapshot is complete and durable. Throws when it could not be made; the boot runs then. */
export async function saveBoot(context: BootContext, request: SaveRequest, signal: AbortSignal): Promise<void> {
  const { parts, file, log } = context;
  const { snapshotId, memory, end } = request;
  const beganAt = performance.now();
  const neededBytes = memory ? await imageBytes(context) : 0;
  const progress: Progress = { held: false, marked: false };
  try {
    await parts.space.admit('a snapshot of the sandbox', neededBytes);
    await file.save({ saving: { snapshotId, memory, end } });
    faultPoint('boots.save.recorded');
    const draft = await parts.snapshots.begin(snapshotId);
    progress.draft = draft;
    // What is written now need not be written while everything stands still.
    await parts.sync();
    faultPoint('boots.save.synced');
    const copied = await (memory
      ? copyMemoryAndFiles(context, request, draft, progress, signal)
      : copyFiles(context, draft));
    signal.throwIfAborted();
    await complete(context, request, draft, progress, copied);
    faultPoint('boots.save.published');
    const durableMs = Math.round(performance.now() - beganAt);
    log.info('Saved', { snapshotId, memory, end, stallMs: copied.stallMs, durableMs });
  } catch (error) {
    log.warn('A boot could not be saved and goes on', { snapshotId, ...errorFields(error) });
    await undo(context, progress);
    throw await savingProblem(error, neededBytes, parts.space);
  }
  if (end) return;
  file.record = withoutSaving(file.record);
  await file.tryWrite(file.record);
  faultPoint('boots.save.done');
}

/** Goes back to a boot that an earlier daemon was saving when it died: nothing of that is kept, and the boot runs. */
export async function undoSaving(context: BootContext): Promise<void> {
  const { file } = context;
  await undo(context, { held: file.record.saving?.memory === true, marked: true });
}

async function undo(context: BootContext, progress: Progress): Promise<void> {
  const { parts, file, log } = context;
  if (progress.held) await letGoOn(context);
  await progress.draft
    ?.discard()
    .catch((error: unknown) => log.error('A half-made snapshot cannot be removed', errorFields(error)));
  if (progress.marked)
    await parts.disks
      .clearPoint(file.record.spec.diskId)
      .catch((error: unknown) => log.error('The mark of a disk cannot be removed', errorFields(error)));
  file.record = withoutSaving(file.record);
  await file.tryWrite(file.record);
}

/** Memory and files of one instant. With `end` everything still stands still when this returns. */
async function copyMemoryAndFiles(
  context: BootContext,
  request: SaveRequest,
  draft: Draft,
  progress: Progress,
  signal: AbortSignal,
): Promise<Copied> {
  const { parts, file } = context;
  const { bootId, diskId } = file.record.spec;
  await draft.makeMemoryDirectory();
  progress.held = true;
  await holdGuest(context, request.end ? 'pause' : 'snapshot', signal);
  faultPoint('boots.save.held');
  const stoodStillAt = performance.now();
  const savedAtMs = Date.now();
  await parts.engine.suspend(bootId, signal);
  faultPoint('boots.save.suspended');
  // Both are over, one way or the other, before anything moves again.
  const [tree, image] = await Promise.allSettled([
    draft.copyTree(parts.disks.rootOf(diskId)),
    parts.engine.saveMemory(bootId, draft.memoryDirectory, signal),
  ]);
  if (tree.status === 'rejected') throw tree.reason;
  if (image.status === 'rejected') throw image.reason;
  faultPoint('boots.save.copied');
  if (!request.end) {
    await letGoOn(context);
    progress.held = false;
    faultPoint('boots.save.released');
  }
  return { savedAtMs, stallMs: Math.round(performance.now() - stoodStillAt), format: image.value };
}

/** Files alone, as a power failure would leave them at this instant: what programs had written is there. Nothing stands still. */
async function copyFiles({ parts, file }: BootContext, draft: Draft): Promise<Copied> {
  const savedAtMs = Date.now();
  await draft.copyTree(parts.disks.rootOf(file.record.spec.diskId));
  faultPoint('boots.save.copied');
  return { savedAtMs, stallMs: 0 };
}

async function complete(
  context: BootContext,
  request: SaveRequest,
  draft: Draft,
  progress: Progress,
  copied: Copied,
): Promise<void> {
  const { parts, file } = context;
  const { disks } = parts;
  const { spec, engine, guestDigest } = file.record;
  const { image, imageKey, sizeMiB } = disks.get(spec.diskId);
  const { format } = copied;
  const [inheritedBytes, files] = await Promise.all([
    disks.takenBytes(spec.diskId),
    format === undefined ? [] : draft.sealMemory(),
  ]);
  const memory: SnapshotMemory | undefined =
    format === undefined
      ? undefined
      : { format, engine, guestDigest, cpus: spec.cpus, memoryMiB: spec.memoryMiB, files };
  if (request.end) {
    progress.marked = true;
    await disks.setPoint(spec.diskId, request.snapshotId);
    faultPoint('boots.save.marked');
  }
  await draft.publish({
    formatVersion: 1,
    snapshotId: request.snapshotId,
    sandboxId: request.sandboxId,
    kind: memory === undefined ? 'disk' : 'memory',
    origin: request.origin,
    image,
    imageKey,
    sizeMiB,
    inheritedBytes,
    createdAtMs: Date.now(),
    savedAtMs: copied.savedAtMs,
    stallMs: copied.stallMs,
    ...(memory === undefined ? {} : { memory }),
    owner: request.owner,
  });
}

/** About what the image of a boot's memory takes. */
async function imageBytes({ parts, file }: BootContext): Promise<number> {
  const { memoryBytes } = await parts.engine.usage(file.record.spec.bootId);
  return memoryBytes + imageOverheadBytes;
}

async function holdGuest(context: BootContext, reason: 'pause' | 'snapshot', signal: AbortSignal): Promise<void> {
  try {
    const hooks = await suspendGuest(guestAddress(context), { for: reason, hooksDeadlineMs }, signal);
    logHooks(context.log, hooks);
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem('precondition_failed', 'The guest of the sandbox does not get ready to be saved', {
      reason: 'guest_not_ready',
      hint: 'Something inside may have stopped or replaced it. Stop and start the sandbox, then try again.',
      cause: error,
    });
  }
}

/** Lets everything in a boot go on; one that has ended meanwhile is fine. */
async function letGoOn(context: BootContext): Promise<void> {
  const { parts, file, log } = context;
  const { bootId } = file.record.spec;
  let ended = false;
  await untilDone(log, 'A suspended boot does not go on yet', async () => {
    try {
      await parts.engine.unsuspend(bootId);
    } catch (error) {
      ended = (await parts.engine.inspect(bootId)) !== 'running';
      if (!ended) throw error;
    }
  });
  if (ended) return;
  try {
    await resumeGuest(guestAddress(context), AbortSignal.timeout(guestResumeDeadlineMs));
  } catch (error) {
    log.error('The guest of a boot does not serve again', errorFields(error));
  }
}
