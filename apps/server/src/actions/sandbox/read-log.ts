import { Problem } from '@skerry/model';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';
import { findSandbox } from './find.ts';

/** The last of what the guest and the start command printed. A sandbox without a disk has printed nothing. */
export async function readLog(core: Core, caller: Caller, idOrName: string, maxBytes: number): Promise<string> {
  const record = await findSandbox(core, caller, idOrName);
  if (record.observed === 'absent' || record.observed === 'gone') return '';
  try {
    return await core.backend.readLog(record.diskId, maxBytes);
  } catch (error) {
    if (error instanceof Problem && error.code === 'not_found') return '';
    throw error;
  }
}
