import type { Sandbox as SandboxView } from '@skerry/protocol';
import type { GuestClient } from '../guest-client.ts';
import { SkerryError } from '../skerry-error.ts';
import { sleep } from '../sleep.ts';

/** What is told of a process whose sandbox is paused while a client is attached to it. */
export type PauseNotice =
  | { readonly state: 'waiting'; readonly sandbox: string; readonly status: string }
  | {
      readonly state: 'attached';
      readonly sandbox: string;
      readonly waitedMs: number;
      /** Output in `bytes` that did not fit into the guest's buffer meanwhile. */
      readonly droppedBytes: number;
    };

/** What a client does when the sandbox is paused: waits, and may be told; or throws `sandbox_paused`. */
export type OnPause = 'wait' | 'throw' | ((notice: PauseNotice) => void);

const resting = new Set(['pausing', 'paused', 'resuming']);
const onItsWay = new Set(['creating', 'starting']);
/** How a call to a sandbox that rests is refused, when its rule does not let calls wake it. */
const refusals = new Set(['sandbox_not_running', 'sandbox_paused']);
const firstLookMs = 100;
const mostBetweenLooksMs = 1000;
/** How long Skerry itself may be away: over `down` and `up`, or a reboot; and when it is not known that this is a pause. */
const awayMs = 900_000;
const awayWithoutPauseMs = 10_000;

/** Whether a call that failed like this may have met a pause: then the sandbox's status says more. */
export function mayBePause(error: unknown): error is SkerryError {
  return error instanceof SkerryError && (error.code === 'unavailable' || refusals.has(error.reason));
}

/** Whether the guest itself said so. */
function saysPause(error: SkerryError): boolean {
  return error.message.includes('being paused');
}

/**
 * Waits until a sandbox whose stream ended with `cause` runs again with the memory that it had. It asks for its status only, which does not wake
 * it. Throws `cause` when there was no pause, `data_loss` when it came back without its memory, `conflict` when it will not come back.
 */
export async function untilRunningAgain(
  guest: GuestClient,
  cause: SkerryError,
  told: (status: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const resumedBefore = guest.view.resume?.at;
  let paused = saysPause(cause);
  let booted = false;
  let awaySince: number | undefined;
  if (paused) told('pausing');
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(pauseMs * 1.5, mostBetweenLooksMs)) {
    const view = await look(guest, signal);
    if (view === undefined) {
      awaySince ??= performance.now();
      if (performance.now() - awaySince > (paused ? awayMs : awayWithoutPauseMs)) throw cause;
    } else {
      awaySince = undefined;
      const { status, resume } = view;
      if (resting.has(status)) {
        if (!paused) told(status);
        paused = true;
      } else if (status === 'running') {
        const fresh = resume !== undefined && resume.at !== resumedBefore;
        if (fresh && resume.from === 'memory') return;
        if (booted || (paused && fresh && resume.from === 'disk')) throw memoryLost(view, cause);
        if (paused) return;
        throw cause;
      } else if (paused && onItsWay.has(status)) booted = true;
      else throw paused ? notComingBack(view, cause) : cause;
    }
    await sleep(pauseMs, signal);
  }
}

/** The sandbox as it is now; `undefined` while Skerry does not answer. */
async function look(guest: GuestClient, signal: AbortSignal | undefined): Promise<SandboxView | undefined> {
  try {
    return await guest.look(signal);
  } catch (error) {
    if (error instanceof SkerryError && (error.code === 'unavailable' || error.code === 'internal')) return undefined;
    throw error;
  }
}

/** What is thrown in place of waiting. */
export function sandboxPaused(guest: GuestClient, pid: number, cause: SkerryError): SkerryError {
  const { name } = guest.view;
  return new SkerryError({
    code: 'unavailable',
    reason: 'sandbox_paused',
    message: `The sandbox "${name}" is being paused; process ${pid} is in its saved memory`,
    hint: `Resume it with "skerry resume ${name}", and attach again with "skerry attach ${name} ${pid}".`,
    status: 0,
    cause,
  });
}

function memoryLost({ name, resume }: SandboxView, cause: SkerryError): SkerryError {
  const why = resume?.from === 'disk' && resume.why !== undefined ? `: ${resume.why}` : '';
  return new SkerryError({
    code: 'data_loss',
    reason: 'memory_lost',
    message: `The sandbox "${name}" came back from its disk, without its processes${why}`,
    hint: 'Its files are whole. Run the command again.',
    status: 0,
    cause,
  });
}

function notComingBack({ name, status }: SandboxView, cause: SkerryError): SkerryError {
  return new SkerryError({
    code: 'unavailable',
    reason: 'processes_ended',
    message: `The sandbox "${name}" is ${status}: its processes have ended`,
    hint: `See what happened with "skerry events ${name}".`,
    status: 0,
    cause,
  });
}
