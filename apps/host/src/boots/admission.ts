import { readFile, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import type { EngineDescription } from '@skerry/engine';
import type { Log } from '@skerry/kit';
import { isolations, Problem } from '@skerry/model';
import type { BootSpec } from './boot-record.ts';

const bytesPerMiB = 1024 * 1024;
const pidMaxFile = '/proc/sys/kernel/pid_max';
/** The most that Linux takes on 64 bits; what systemd sets as well. */
const pidMaxWanted = 4_194_304;
/** Left for everything on the machine that is no sandbox. */
const pidReserve = 8192;

export interface HostLimits {
  readonly memoryMiB: number;
  /** Processes and threads that the host's kernel allows in all. */
  readonly pidMax: number;
  /** Processes and threads of the host that one boot may take. */
  readonly pidsPerBoot: number;
}

/** The machine's limits. `pid_max` is raised when it is the kernel's small default: sandboxes together must stay below it. */
export async function readHostLimits(pidsPerBoot: number, log: Log): Promise<HostLimits> {
  let pidMax = Number(await readFile(pidMaxFile, 'utf8'));
  if (pidMax < pidMaxWanted) {
    try {
      await writeFile(pidMaxFile, String(pidMaxWanted));
      log.info('Raised kernel.pid_max, which bounds how many sandboxes can run', { from: pidMax, to: pidMaxWanted });
      pidMax = pidMaxWanted;
    } catch (error) {
      log.warn('Cannot raise kernel.pid_max: few sandboxes can run at once', { pidMax, error: String(error) });
    }
  }
  return { memoryMiB: Math.floor(totalmem() / bytesPerMiB), pidMax, pidsPerBoot };
}

/** Throws when this boot cannot run here beside `running` others: `unsupported` for isolation, `exhausted` for capacity. */
export function admitBoot(spec: BootSpec, running: number, limits: HostLimits, engine: EngineDescription): void {
  if (spec.isolation !== 'any' && isolations.indexOf(engine.isolation) < isolations.indexOf(spec.isolation))
    throw new Problem(
      'unsupported',
      `Isolation "${spec.isolation}" is asked for, and this host has "${engine.isolation}" (${engine.name})`,
      {
        reason: 'isolation_unsupported',
        hint: 'Ask for "any", or use a host that can run it.',
      },
    );
  if (spec.memoryMiB > limits.memoryMiB)
    throw new Problem(
      'exhausted',
      `${spec.memoryMiB} MiB of memory are asked for, and the host has ${limits.memoryMiB} MiB`,
      {
        reason: 'host_memory_exhausted',
        exhaustion: 'capacity',
        hint: 'Ask for less memory.',
      },
    );
  const most = Math.max(1, Math.floor((limits.pidMax - pidReserve) / limits.pidsPerBoot));
  if (running >= most)
    throw new Problem(
      'exhausted',
      `${running} sandboxes run, and the host's kernel.pid_max of ${limits.pidMax} allows ${most}`,
      {
        reason: 'host_processes_exhausted',
        exhaustion: 'capacity',
        hint: 'Stop some sandboxes, or raise kernel.pid_max on the host.',
      },
    );
}
