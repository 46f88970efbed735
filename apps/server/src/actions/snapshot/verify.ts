import type { SnapshotRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { findSnapshot } from './find.ts';
import { requireReady } from './require-ready.ts';

/** Reads all of a snapshot and compares it with its digests. Throws `data_loss`. */
export async function verifySnapshot(
  core: Core,
  caller: Caller,
  idOrName: string,
  signal: AbortSignal,
): Promise<SnapshotRecord> {
  const record = await findSnapshot(core, caller, idOrName);
  requireReady(record, idOrName);
  await core.backend.verifySnapshot(record.id, signal);
  return record;
}
