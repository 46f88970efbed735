import { askSupervisor, type SupervisorStatus } from './control.ts';

/** Kills the supervisor and all programs of an instance at once, as a crash would. Sandboxes run on. Gives back how many processes that were. */
export async function killAll(dataDir: string): Promise<number> {
  const status = await askSupervisor<SupervisorStatus>(dataDir, 'GET', '/v1/status');
  if (status === undefined) throw new Error(`Skerry does not run in "${dataDir}"`);
  const pids = [status.pid, ...status.programs.flatMap(({ pid }) => (pid === undefined ? [] : [pid]))];
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  return pids.length;
}
