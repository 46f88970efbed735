import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileIfExists } from '@skerry/kit';
import { type BootId, Problem } from '@skerry/model';
import { bundleFiles } from './bundle.ts';
import { callSandbox } from './control-socket.ts';
import type { SandboxState } from './sandbox-state.ts';

/** How long two looks at a sandbox lie apart that must agree. */
const lookPauseMs = 50;

/**
 * Stops and lets go on what runs in sandboxes, by calls on their control sockets: a process of runsc for each would cost 13 ms of the stall.
 *
 * The sentry counts: two stops need two goings-on, and one going-on too many ends it. So a file in the boot's directory says before each call that
 * it comes (`changing`) and after a stop that it has come (`suspended`). Only when a daemon was killed in between, the sentry is looked at.
 */
export class Suspensions {
  /** Calls that exceeded their deadline: the sandbox will follow them yet. */
  readonly #pending = new Map<BootId, Promise<void>>();

  /** Throws `deadline`; then the boot may become suspended later, and `unsuspend` must be called. */
  async suspend(bootId: BootId, state: SandboxState, deadlineMs: number): Promise<void> {
    const until = Date.now() + deadlineMs;
    if (await this.isSuspended(bootId, state, deadlineMs)) return;
    const file = bundleFiles.suspension(state.bundle);
    await writeFile(file, 'changing', { mode: 0o600 });
    await this.#call(bootId, state, 'containerManager.Pause', until);
    await writeFile(file, 'suspended', { mode: 0o600 });
  }

  /** Throws `deadline`; it may be called again. */
  async unsuspend(bootId: BootId, state: SandboxState, deadlineMs: number): Promise<void> {
    const until = Date.now() + deadlineMs;
    const file = bundleFiles.suspension(state.bundle);
    if (await this.isSuspended(bootId, state, deadlineMs)) {
      await writeFile(file, 'changing', { mode: 0o600 });
      await this.#call(bootId, state, 'containerManager.Resume', until);
    }
    await rm(file, { force: true });
  }

  async isSuspended(bootId: BootId, state: SandboxState, deadlineMs: number): Promise<boolean> {
    const until = Date.now() + deadlineMs;
    await this.#settle(bootId, until);
    const text = await readFileIfExists(bundleFiles.suspension(state.bundle));
    if (text === undefined) return false;
    if (text === 'suspended') return true;
    return this.#look(bootId, state, until);
  }

  /** Forgets a boot that has ended. */
  forget(bootId: BootId): void {
    this.#pending.delete(bootId);
  }

  /** One call; the connection stays open past the deadline, so that a later call knows when this one has been followed. */
  async #call(bootId: BootId, state: SandboxState, method: string, until: number): Promise<void> {
    const answer = callSandbox(state.controlSocket, method, null).then(() => undefined);
    const settled: Promise<void> = answer
      .catch(() => undefined)
      .finally(() => {
        if (this.#pending.get(bootId) === settled) this.#pending.delete(bootId);
      });
    this.#pending.set(bootId, settled);
    await before(until, bootId, answer);
  }

  async #settle(bootId: BootId, until: number): Promise<void> {
    const pending = this.#pending.get(bootId);
    if (pending !== undefined) await before(until, bootId, pending);
  }

  /**
   * Tells by the sentry's own goroutines whether all tasks stand still; only once two looks in a row say the same and no stop is under way. A
   * sandbox that has stopped every one of its own processes by signals looks the same; it can only deceive its own sentry by that.
   */
  async #look(bootId: BootId, state: SandboxState, until: number): Promise<boolean> {
    let before: boolean | undefined;
    for (;;) {
      const signal = AbortSignal.timeout(Math.max(1, until - Date.now()));
      const stacks = await callSandbox(state.controlSocket, 'debug.Stacks', null, signal).catch((error: unknown) => {
        throw signal.aborted ? wedged(bootId) : error;
      });
      const seen = readStacks(String(stacks));
      if (seen !== undefined && seen === before) return seen;
      before = seen;
      await sleep(lookPauseMs);
    }
  }
}

/** Whether every task of a sentry stands still, from the stacks of its goroutines; `undefined` while that changes. */
export function readStacks(stacks: string): boolean | undefined {
  if (/\(\*containerManager\)\.(Pause|Resume)\(/.test(stacks)) return undefined;
  const tasks = stacks.split('\n\n').filter((stack) => stack.includes('kernel.(*Task).run('));
  return tasks.length > 0 && tasks.every((stack) => stack.includes('kernel.(*Task).doStop('));
}

function wedged(bootId: BootId): Problem {
  return new Problem('deadline', `Boot "${bootId}" does not answer its host`, { reason: 'boot_wedged' });
}

async function before<T>(until: number, bootId: BootId, work: Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = sleep(Math.max(0, until - Date.now()), undefined, { signal: done.signal, ref: false }).then(
    () => {
      throw wedged(bootId);
    },
    (): never => {
      throw wedged(bootId);
    },
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    done.abort();
  }
}
