import { SkerryError } from '@skerry/sdk';
import { printNote } from '../output/print.ts';
import { readEndpoint } from './find.ts';
import { setUp } from './set-up.ts';
import { failureOf, type SupervisorChild, type SupervisorEvent, startSupervisor } from './supervisor.ts';

export interface BringUpOptions {
  readonly dataDir: string;
  readonly listen: string | undefined;
  readonly insecure: boolean;
  readonly allowEgress: readonly string[];
  /** Told of everything that happens after Skerry answers. */
  readonly onEvent: (event: SupervisorEvent) => void;
}

export type BroughtUp =
  | { readonly state: 'already'; readonly url: string }
  | { readonly state: 'up'; readonly url: string; readonly instance: string; readonly supervisor: SupervisorChild };

/** Sets up what is missing and starts Skerry. Resolves when it answers. */
export async function bringUp(options: BringUpOptions): Promise<BroughtUp> {
  if (process.getuid?.() !== 0)
    throw new SkerryError({
      code: 'forbidden',
      reason: 'not_root',
      message: 'Only root can start Skerry',
      hint: 'Use sudo: sandboxes need namespaces, mounts and packet filters.',
      status: 0,
    });
  const { dataDir } = options;
  const present = await answeringUrl(dataDir);
  if (present !== undefined) return { state: 'already', url: present };
  await setUp(dataDir, printNote);
  const lateAtMs = Date.now() + otherUpOrDownMs;
  for (;;) {
    const brought = await attempt(options);
    if (brought !== 'taken') return brought;
    // Another supervisor is on its way up or down: then it answers soon, or there is none.
    const url = await answeringUrl(dataDir);
    if (url !== undefined) return { state: 'already', url };
    if (Date.now() > lateAtMs)
      throw new SkerryError({
        code: 'conflict',
        reason: 'already_running',
        message: `Another Skerry has "${dataDir}" and does not answer`,
        hint: 'Bring it down with "skerry down".',
        status: 0,
      });
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

async function attempt(options: BringUpOptions): Promise<BroughtUp | 'taken'> {
  const { dataDir } = options;
  const first = Promise.withResolvers<SupervisorEvent>();
  let isUp = false;
  const args = [
    ...(options.listen === undefined ? [] : ['--listen', options.listen]),
    ...(options.insecure ? ['--insecure'] : []),
    ...options.allowEgress.flatMap((range) => ['--allow-egress', range]),
  ];
  const supervisor = await startSupervisor(dataDir, args, (event) => {
    if (decisive.has(event.event)) first.resolve(event);
    if (event.event === 'ready') isUp = true;
    // What keeps Skerry from starting is thrown, and told by who catches it.
    if (event.event !== 'failed' || isUp) options.onEvent(event);
  });
  void supervisor.ended.then((status) =>
    first.resolve({
      event: 'failed',
      code: 'internal',
      reason: 'supervisor_ended',
      message: `The supervisor ended with status ${status ?? 'of a signal'} before Skerry answered`,
      hint: `See ${dataDir}/log/supervisor.log.`,
    }),
  );
  const forward = (): void => supervisor.end();
  for (const signal of endSignals) process.on(signal, forward);
  const event = await first.promise;
  for (const signal of endSignals) process.off(signal, forward);
  if (event.event === 'ready') return { state: 'up', url: event.url, instance: event.instance, supervisor };
  await supervisor.ended;
  if (event.event === 'failed') throw failureOf(event);
  if (event.event === 'already_running') return 'taken';
  throw new SkerryError({
    code: 'cancelled',
    reason: 'cancelled',
    message: 'Skerry was asked to end while it started',
    status: 0,
  });
}

const otherUpOrDownMs = 120_000;
/** Events after which it is clear whether Skerry came up. */
const decisive = new Set<SupervisorEvent['event']>(['ready', 'failed', 'already_running', 'down']);
export const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Address of the instance when it is up and answers. */
async function answeringUrl(dataDir: string): Promise<string | undefined> {
  const endpoint = await readEndpoint(dataDir);
  return endpoint !== undefined && isAlive(endpoint.pid) && (await answers(endpoint.url)) ? endpoint.url : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(3000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
