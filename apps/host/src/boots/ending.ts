import { errorFields } from '@skerry/kit';
import type { BootExit, BootUsage } from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import type { BootContext } from './boot-parts.ts';
import type { BootRecord } from './boot-record.ts';
import { untilDone } from './waiting.ts';

/** Frees all that a boot holds of the machine, records how it ended, and only then lets it look ended. */
export async function freeBoot({ parts, file, log }: BootContext, exit: BootExit): Promise<void> {
  const { engine, network, disks, logs } = parts;
  const { bootId, diskId } = file.record.spec;
  const repeat = (what: string, step: () => Promise<void>): Promise<void> =>
    untilDone(log, `A boot is not ended yet: ${what} failed`, step);
  const usage = file.record.usage ?? (await usageOf({ parts, file, log }));
  const ended: BootRecord = { ...file.record, state: 'ended', exit, ...(usage === undefined ? {} : { usage }) };
  await file.tryWrite(ended);
  faultPoint('boots.end.recorded');
  // Until the engine holds nothing of it, something may still write to the disk: it is not reported ended before.
  await repeat('ending it', () => engine.remove(bootId, file.directory));
  faultPoint('boots.end.engine');
  // The files of a paused one are durable in its snapshot.
  const synced = exit.reason === 'paused' || !disks.isDurable(diskId);
  await Promise.all([
    repeat('giving its network back', () => network.release(bootId)),
    synced ? undefined : repeat('syncing its disk', () => parts.sync()),
  ]);
  faultPoint('boots.end.network');
  const cleaned: BootRecord = { ...ended, cleaned: true };
  await file.tryWrite(cleaned);
  faultPoint('boots.end.cleaned');
  logs.close(bootId);
  disks.release(diskId, bootId);
  file.record = cleaned;
}

async function usageOf({ parts, file, log }: BootContext): Promise<BootUsage | undefined> {
  const { bootId } = file.record.spec;
  try {
    const [used, traffic] = await Promise.all([parts.engine.usage(bootId), parts.network.traffic(bootId)]);
    return {
      cpuMs: used.cpuMs,
      memoryPeakBytes: used.memoryPeakBytes,
      networkInBytes: traffic.inBytes,
      networkOutBytes: traffic.outBytes,
    };
  } catch (error) {
    log.debug('What a boot used is not known', errorFields(error));
    return undefined;
  }
}
