import { setTimeout as sleep } from 'node:timers/promises';
import { type BootId, newId, Problem } from '@skerry/model';
import type {
  Engine,
  EngineBootSpec,
  EngineBootState,
  EngineDescription,
  EngineExit,
  EngineMemoryFormat,
  EngineUsage,
} from './engine.ts';
import { readFakeImage, writeFakeImage, writePartOfFakeImage } from './fake-image.ts';

export { damageFakeImage, fakeImageFiles } from './fake-image.ts';

/** A call of the engine that can be made to fail or to wait. */
export type FakeCall = keyof Engine;

interface FakeBoot {
  readonly spec: EngineBootSpec;
  readonly ended: PromiseWithResolvers<EngineExit>;
  readonly build: string;
  exit: EngineExit | undefined;
  frozen: boolean;
  suspended: boolean;
  /** Whether it was brought back from saved memory. */
  readonly restored: boolean;
  /** What a test keeps in its memory: it survives a save and a restore, and nothing else. */
  readonly memory: Map<string, string>;
  /** What its guest had counted to when it last began to run; see `FakeEngine.count`. */
  counted: number;
  /** Since when it runs, in `ms` of `performance.now()`; absent while it stands still. */
  runningSince: number | undefined;
}

/** What a fake engine holds: it outlives the engine, as a machine outlives its host daemon. */
export class FakeMachine {
  readonly boots = new Map<BootId, FakeBoot>();
  /** Builds of the engine that are kept. */
  readonly builds = new Set<string>();
  /** How many boots were ever started or restored; a start of a running one does not count. */
  starts = 0;
}

const specVersion = 1;
const countMs = 20;

/** An engine in memory, for tests of what drives engines. Nothing runs in its boots but a counter. Memory is saved to real files. */
export class FakeEngine implements Engine {
  readonly machine: FakeMachine;
  readonly #failures = new Map<FakeCall, Error[]>();
  readonly #delaysMs = new Map<FakeCall, number>();
  readonly #starting = new Map<BootId, AbortController>();
  /** Exit of every boot that is started from now on, by itself after `afterMs`. */
  scriptedExit: { readonly afterMs: number; readonly exit: EngineExit } | undefined;

  /** Stamp of the build that new boots get; another one is another version of the engine. */
  build = 'fake-1';
  /** What the machine's processor can do. */
  cpuFeatures: readonly string[] = ['fake-feature'];

  constructor(machine = new FakeMachine()) {
    this.machine = machine;
  }

  /**
   * Makes the next call of this name throw; several in turn when called several times. A `saveMemory` that fails so has written a part. What a
   * full or a broken disk makes of a save: `fakeNoSpace()`, `fakeInputOutputError()`.
   */
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
    boot.runningSince = undefined;
    boot.ended.resolve(exit);
  }

  /** What the guest of a boot has counted to: from 0, one more every 20 ms in which it runs. */
  count(bootId: BootId): number {
    return countOf(this.#require(bootId));
  }

  async describe(signal?: AbortSignal): Promise<EngineDescription> {
    await this.#enter('describe', signal);
    return {
      name: 'fake',
      version: '1',
      build: this.build,
      isolation: 'gvisor',
      capabilities: { freeze: true, memorySnapshot: true, diskForm: 'tree' },
    };
  }

  async start(spec: EngineBootSpec, signal?: AbortSignal): Promise<void> {
    await this.#begin('start', spec, signal, async () => {
      const restored = false;
      return { build: this.build, restored, memory: new Map(), counted: 0 };
    });
  }

  async restore(
    spec: EngineBootSpec,
    memoryDirectory: string,
    format: EngineMemoryFormat,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#begin('restore', spec, signal, async () => {
      const why = this.#whyNotRestorable(format);
      if (why !== undefined) throw new Problem('unsupported', why, { reason: 'memory_not_restorable' });
      const { count, memory } = await readFakeImage(memoryDirectory);
      return { build: format.build, restored: true, memory: new Map(Object.entries(memory)), counted: count };
    });
  }

  async #begin(
    call: 'start' | 'restore',
    spec: EngineBootSpec,
    signal: AbortSignal | undefined,
    make: () => Promise<Pick<FakeBoot, 'build' | 'restored' | 'memory' | 'counted'>>,
  ): Promise<void> {
    const { bootId } = spec;
    const abort = new AbortController();
    this.#starting.set(bootId, abort);
    try {
      await this.#enter(call, AbortSignal.any([abort.signal, ...(signal === undefined ? [] : [signal])]));
      const before = this.machine.boots.get(bootId);
      if (before?.exit !== undefined)
        throw new Problem('precondition_failed', `Boot "${bootId}" has ended already`, { reason: 'boot_ended' });
      if (before !== undefined) return;
      const made = await make();
      if (abort.signal.aborted) throw Problem.from(abort.signal.reason);
      // Two calls at once make one boot.
      if (this.machine.boots.has(bootId)) return;
      this.machine.starts += 1;
      this.machine.builds.add(made.build);
      this.machine.boots.set(bootId, {
        ...made,
        spec,
        ended: Promise.withResolvers(),
        exit: undefined,
        frozen: false,
        suspended: false,
        runningSince: performance.now(),
      });
    } finally {
      if (this.#starting.get(bootId) === abort) this.#starting.delete(bootId);
    }
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
    this.#change(bootId, { frozen: true });
  }

  async thaw(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#enter('thaw', signal);
    this.#change(bootId, { frozen: false });
  }

  async suspend(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#enter('suspend', signal);
    this.#change(bootId, { frozen: false, suspended: true });
  }

  async unsuspend(bootId: BootId, signal?: AbortSignal): Promise<void> {
    await this.#enter('unsuspend', signal);
    this.#change(bootId, { frozen: false, suspended: false });
  }

  async saveMemory(bootId: BootId, directory: string, signal?: AbortSignal): Promise<EngineMemoryFormat> {
    if (!this.#requireRunning(bootId).suspended)
      throw new Problem('precondition_failed', `Boot "${bootId}" is not suspended`, { reason: 'boot_not_suspended' });
    try {
      await this.#enter('saveMemory', signal);
    } catch (error) {
      await writePartOfFakeImage(directory);
      throw error;
    }
    const boot = this.#requireRunning(bootId);
    await writeFakeImage(directory, { count: countOf(boot), memory: Object.fromEntries(boot.memory) });
    return { engine: 'fake', build: boot.build, specVersion, cpuFeatures: this.cpuFeatures };
  }

  async whyNotRestorable(format: EngineMemoryFormat, signal?: AbortSignal): Promise<string | undefined> {
    await this.#enter('whyNotRestorable', signal);
    return this.#whyNotRestorable(format);
  }

  async retainBuilds(formats: readonly EngineMemoryFormat[]): Promise<void> {
    await this.#enter('retainBuilds', undefined);
    const wanted = new Set([this.build, ...formats.map(({ build }) => build)]);
    for (const boot of this.machine.boots.values()) wanted.add(boot.build);
    for (const build of this.machine.builds) if (!wanted.has(build)) this.machine.builds.delete(build);
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

  #change(bootId: BootId, change: Partial<Pick<FakeBoot, 'frozen' | 'suspended'>>): void {
    const boot = this.#requireRunning(bootId);
    Object.assign(boot, { counted: countOf(boot), ...change });
    boot.runningSince = boot.frozen || boot.suspended ? undefined : performance.now();
  }

  #whyNotRestorable(format: EngineMemoryFormat): string | undefined {
    if (format.engine !== 'fake') return `Its memory was saved by engine "${format.engine}"`;
    if (format.specVersion !== specVersion)
      return `Its memory was saved with version ${format.specVersion} of the spec`;
    if (format.build !== this.build && !this.machine.builds.has(format.build))
      return `Its memory was saved by build "${format.build}", which this machine does not have`;
    const missing = format.cpuFeatures.filter((feature) => !this.cpuFeatures.includes(feature));
    return missing.length === 0 ? undefined : `The processor lacks ${missing.join(', ')}`;
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

/** What a guest has counted to by now. */
function countOf({ counted, runningSince }: FakeBoot): number {
  return counted + (runningSince === undefined ? 0 : Math.floor((performance.now() - runningSince) / countMs));
}

/** What a save on a full disk throws. */
export function fakeNoSpace(): Problem {
  return new Problem('exhausted', "The host's disk is too full to save memory", {
    exhaustion: 'disk',
    reason: 'host_disk_full',
  });
}

/** What a save on a broken disk throws. */
export function fakeInputOutputError(): Problem {
  return new Problem('internal', 'The engine could not save memory', {
    reason: 'engine_save_failed',
    cause: new Error('EIO: i/o error, write'),
  });
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
