import { formatBytes } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { type DiskSpace, roomHint } from '../store/disk-space.ts';

const noRoom = /No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/;
const brokenDisk = /Input\/output error|Read-only file system|EIO|EROFS/;

/** The problem that a caller gets when a snapshot could not be made: what was missing, and what to do. */
export async function savingProblem(
  thrown: unknown,
  neededBytes: number,
  space: Pick<DiskSpace, 'freeBytes'>,
): Promise<Problem> {
  const problem = Problem.from(thrown);
  // One that says itself how much is missing stays as it is.
  if (problem.code === 'exhausted' && problem.hint === roomHint) return problem;
  const words = wordsOf(thrown);
  if ((problem.code === 'exhausted' && problem.exhaustion === 'disk') || noRoom.test(words)) {
    const freeBytes = await space.freeBytes().catch(() => 0);
    const needed = neededBytes === 0 ? '' : `it takes about ${formatBytes(neededBytes)} of disk space, and `;
    // btrfs may have room for data and none for its own metadata, which is given out in large pieces.
    const enough = freeBytes > neededBytes ? ', but none of it for metadata at this moment' : '';
    return new Problem(
      'exhausted',
      `The state was not saved: ${needed}the host has ${formatBytes(freeBytes)} to give${enough}. Nothing was changed`,
      { reason: 'host_disk_full', exhaustion: 'disk', hint: roomHint, cause: thrown },
    );
  }
  if (problem.code === 'internal' && brokenDisk.test(words))
    return new Problem('internal', "The state was not saved: the host's disk failed. Nothing was changed", {
      reason: 'host_disk_failed',
      hint: "The kernel's log on the host names the device. What was saved earlier is still there.",
      cause: thrown,
    });
  return problem;
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message} ${error.cause === undefined ? '' : wordsOf(error.cause)}`;
}
