import { setTimeout as sleep } from 'node:timers/promises';
import { type BootId, newId, Problem } from '@skerry/model';
import type { Engine, EngineBootSpec, EngineBootState, EngineDescription, EngineExit, EngineUsage } from './engine.ts';

/** A call of the engine that can be made to fail or to wait. */
export type FakeCall = keyof Engine;

interface FakeBoot {
  readonly spec: EngineBootSpec;
  readonly ended: PromiseWithResolvers<EngineExit>;
  exit: EngineExit | undefined;
  frozen: boolean;
}

/** What a fake engine holds: it outlives the engine, as a machine outlives its host daemon. */
export class FakeMachine {
  readonly boots = new Map<BootId, FakeBoot>();
  /** How many boots were ever started; a start of a running one does not count. */
  starts = 0;
}

/** An engine in memory, for tests of what drives engines. Nothing runs in its boots. */
export class FakeEngine implements Engine {
  readonly machine: FakeMachine;
  readonly #failures = new Map<FakeCall, Error[]>();
  readonly #delaysMs = new Map<FakeCall, number>();
  readonly #starting = new Map<BootId, AbortController>();
  /** Exit of every boot that is started from now on, by itself after `afterMs`. */
  scriptedExit: { readonly afterMs: number; readonly exit: EngineExit } | undefined;

  constructor(machine = new FakeMachine()) {
    this.machine = machine;
  }

  /** Makes the next call of this name throw; several in turn when called several times. */
  fail(call: FakeCall, error: Error): void {
    this.#failures.set(call, [...(this.#failures.get(call) ?? []), error]);
  }

  /** Makes every call of this name take that much longer; 0 ends it. */
  delay(call: FakeCall, delayMs: number): void {
    this.#delaysMs.set(call, delayMs);
  }

  /** Ends a running boot as if it had ended by itself. */
  end(bootId: BootId, exit: EngineExit): void {
    const boot = this.machine.boots.get(bootId);
    if (boot === undefined || boot.exit !== undefined) return;
    boot.exit = exit;
    boot.ended.resolve(exit);
  }

  async describe(signal?: AbortSignal): Promise<EngineDescription> {
    await this.#enter('describe', signal);
    return {
      name: 'fake',
      version: '1',
      build: 'fake-1',
      isolation: 'gvisor',
      capabilities: { freeze: true, memorySnapshot: false, diskForm: 'tree' },
    };
  }

  async start(spec: EngineBootSpec, signal?: AbortSignal): Promise<void> {
    const { bootId } = spec;
    const abort = new AbortController();
    this.#starting.set(bootId, abort);
    try {
      await this.#enter('start', AbortSignal.any([abort.signal, ...(signal === undefined ? [] : [signal])]));
    } finally {
      if (this.#starting.get(bootId) === abort) this.#starting.delete(bootId);
    }
    const before = this.machine.boots.get(bootId);
    if (before?.exit !== undefined)
      throw new Problem('precondition_failed', `Boot "${bootId}" has ended already`, { reason: 'boot_ended' });
    if (before !== undefined) return;
    this.machine.starts += 1;
    this.machine.boots.set(bootId, { spec, ended: Promise.withResolvers(), exit: undefined, frozen: false });
    const scripted = this.scriptedExit;
    if (scripted !== undefined) setTimeout(() => this.end(bootId, scripted.exit), scripted.afterMs);
  }

  async adopt(bootId: BootId, _directory: string, signal?: AbortSignal): Promise<boolean> {
    await this.#enter('adopt', signal);
    const boot = this.machine.boots.get(bootId);
    return boot !== undefined && boot.exit === undefined;
  }

  async inspect(bootId: BootId, signal?: AbortSignal): Promise<EngineBootState> {
    await this.#enter('inspect', signal);
    const boot = this.machine.boots.get(bootId);
    return boot === undefined ? 'absent' : boot.exit === undefined ? 'running' : 'ended';
  }

  async wait(bootId: BootId, signal?: AbortSignal): Promise<EngineExit> {
    await this.#enter('wait', signal);
    const boot = this.#require(bootId);
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(Problem.from(signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([boot.ended.promise, aborted.promise]);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async kill(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#enter('kill', signal);
    this.#abortStart(bootId);
    this.end(bootId, { cause: 'killed', signal: 9, detail: 'The engine was asked to end it' });
  }

  async remove(bootId: BootId, _directory: string, signal?: AbortSignal): Promise<void> {
    await this.#enter('remove', signal);
    this.#abortStart(bootId);
    this.end(bootId, { cause: 'killed', signal: 9, detail: 'The engine was asked to end it' });
    this.machine.boots.delete(bootId);
  }

  async list(signal?: AbortSignal): Promise<readonly BootId[]> {
    await this.#enter('list', signal);
    return [...this.machine.boots.keys()];
  }

  async usage(bootId: BootId, signal?: AbortSignal): Promise<EngineUsage> {
    await this.#enter('usage', signal);
    this.#require(bootId);
    return { cpuMs: 1, memoryBytes: 2 ** 20, memoryPeakBytes: 2 ** 20, processes: 1 };
  }

  async freeze(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#enter('freeze', signal);
    this.#requireRunning(bootId).frozen = true;
  }

  async thaw(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#enter('thaw', signal);
    this.#requireRunning(bootId).frozen = false;
  }

  async clear(signal?: AbortSignal): Promise<void> {
    await this.#enter('clear', signal);
    if (this.machine.boots.size > 0)
      throw new Problem('precondition_failed', `The engine still holds ${this.machine.boots.size} boots`, {
        reason: 'boots_left',
      });
  }

  async #enter(call: FakeCall, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) throw Problem.from(signal.reason);
    const delayMs = this.#delaysMs.get(call) ?? 0;
    // Even without a delay a call gives way once, as a real one does.
    await sleep(delayMs, undefined, signal === undefined ? {} : { signal }).catch(() => {
      throw Problem.from(signal?.reason);
    });
    const failure = this.#failures.get(call)?.shift();
    if (failure !== undefined) throw failure;
  }

  #abortStart(bootId: BootId): void {
    this.#starting.get(bootId)?.abort(new Problem('cancelled', `Boot "${bootId}" was ended while it started`));
  }

  #require(bootId: BootId): FakeBoot {
    const boot = this.machine.boots.get(bootId);
    if (boot === undefined)
      throw new Problem('not_found', `Boot "${bootId}" does not exist`, { reason: 'boot_not_found' });
    return boot;
  }

  #requireRunning(bootId: BootId): FakeBoot {
    const boot = this.#require(bootId);
    if (boot.exit !== undefined)
      throw new Problem('not_found', `Boot "${bootId}" does not run`, { reason: 'boot_not_found' });
    return boot;
  }
}

/** A spec for a fake engine. */
export function fakeBootSpec(change: Partial<EngineBootSpec> = {}): EngineBootSpec {
  return {
    bootId: newId('boot'),
    directory: '/fake/boot',
    root: '/fake/boot/root',
    hostname: 'fake',
    networkNamespace: '/run/netns/fake',
    resolvConf: '/fake/resolv.conf',
    guestPath: '/fake/guest',
    guestEnv: {},
    cpus: 1,
    memoryMiB: 128,
    logPath: '/fake/boot/guest.log',
    ...change,
  };
}
