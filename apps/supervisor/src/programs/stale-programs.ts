import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { configFileOf, type Layout, type ProgramName, programNames } from '../instance/layout.ts';

/** A program of this instance that an earlier supervisor started. */
export interface StaleProgram {
  readonly name: ProgramName;
  readonly pid: number;
  /** From /proc: together with the pid it means one process for ever. */
  readonly startTime: string;
}

/** Finds what an earlier supervisor, which was killed, left running. Sandboxes are no programs: they stay. */
export async function findStalePrograms(layout: Layout): Promise<StaleProgram[]> {
  const found: StaleProgram[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const args = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const name = programNames.find(
      (program) =>
        args.includes(configFileOf(layout, program)) &&
        args.some((arg) => arg.endsWith(`/apps/${program}/src/main.ts`)),
    );
    if (name === undefined) continue;
    const startTime = await startTimeOf(Number(entry));
    if (startTime !== undefined) found.push({ name, pid: Number(entry), startTime });
  }
  return found;
}

/** Ends them, and waits until they are gone. */
export async function endStalePrograms(stale: readonly StaleProgram[], graceMs = 6000): Promise<void> {
  const signalAll = async (signal: NodeJS.Signals): Promise<number> => {
    let alive = 0;
    for (const { pid, startTime } of stale) {
      if ((await startTimeOf(pid)) !== startTime) continue;
      alive++;
      try {
        process.kill(pid, signal);
      } catch {
        // It ended meanwhile.
      }
    }
    return alive;
  };
  const lateAt = Date.now() + graceMs;
  if ((await signalAll('SIGTERM')) === 0) return;
  for (;;) {
    const states = await Promise.all(stale.map(async ({ pid, startTime }) => (await startTimeOf(pid)) === startTime));
    if (!states.includes(true)) return;
    if (Date.now() > lateAt) await signalAll('SIGKILL');
    await sleep(50);
  }
}

/** Start time of a living process, in clock ticks since boot; zombies count as gone. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}
