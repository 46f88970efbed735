import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Engine,
  EngineBootSpec,
  EngineBootState,
  EngineDescription,
  EngineExit,
  EngineUsage,
} from '@skerry/engine';
import { errorFields, KeyedSerial, type Log } from '@skerry/kit';
import { type BootId, Problem } from '@skerry/model';
import { bundleFiles, writeBundle } from './bundle.ts';
import { Cgroups } from './cgroups.ts';
import { type Ending, watchSandbox } from './watch.ts';
import { preferStubs } from './prefer-stubs.ts';
import { probeRunsc } from './probe.ts';
import { type Runsc, runSandbox } from './runsc.ts';
import {
  clearStateDir,
  listSandboxStates,
  readSandboxState,
  removeSandboxState,
  type SandboxState,
} from './sandbox-state.ts';

export interface GvisorEngineOptions {
  readonly runscPath: string;
  /** Stamp that `runsc --version` must answer. */
  readonly runscVersion: string;
  /** Id of the instance; its control groups lie under `/skerry-<instance>`. */
  readonly instance: string;
  /** Directory for runsc's own state, lost at a reboot; made when absent. */
  readonly stateDir: string;
  readonly log: Log;
}

/** Deadlines in `ms`. A start is generous because a hundred of them may share two cores. */
const deadlines = { start: 60_000, kill: 10_000, remove: 10_000, freeze: 5_000 };

export function createGvisorEngine(options: GvisorEngineOptions): Engine {
  return new GvisorEngine(options);
}

class GvisorEngine implements Engine {
  readonly #options: GvisorEngineOptions;
  readonly #runsc: Runsc;
  readonly #cgroups: Cgroups;
  readonly #serial = new KeyedSerial<BootId>();
  readonly #starts = new Map<BootId, AbortController>();
  readonly #endings = new Map<BootId, Ending>();
  #probed: Promise<void> | undefined;

  constructor(options: GvisorEngineOptions) {
    this.#options = options;
    this.#runsc = { path: options.runscPath, stateDir: options.stateDir };
    this.#cgroups = new Cgroups(options.instance);
  }

  async describe(signal?: AbortSignal): Promise<EngineDescription> {
    const { runscVersion } = this.#options;
    this.#probed ??= probeRunsc(this.#runsc, runscVersion, signal);
    try {
      await this.#probed;
    } catch (error) {
      this.#probed = undefined;
      throw error;
    }
    return {
      name: 'gvisor',
      version: runscVersion,
      build: runscVersion,
      isolation: 'gvisor',
      capabilities: { freeze: true, memorySnapshot: false, diskForm: 'tree' },
    };
  }

  async start(spec: EngineBootSpec, signal?: AbortSignal): Promise<void> {
    await this.#serial.run(spec.bootId, async () => this.#start(spec, signal));
  }

  async #start(spec: EngineBootSpec, signal?: AbortSignal): Promise<void> {
    const { bootId } = spec;
    if (signal?.aborted === true) throw Problem.from(signal.reason);
    const before = await readSandboxState(this.#runsc.stateDir, bootId);
    if (before !== undefined && hasStarted(before)) {
      if (await this.#isAlive(bootId, before)) return this.#attend(bootId, before);
      throw new Problem('precondition_failed', `Boot "${bootId}" has ended already`, { reason: 'boot_ended' });
    }
    const abort = new AbortController();
    this.#starts.set(bootId, abort);
    try {
      // What a start that was killed half-way left would be taken over by runsc as it is: a group without limits.
      if (before !== undefined || (await this.#cgroups.exists(bootId))) await this.#sweep(bootId);
      await mkdir(this.#runsc.stateDir, { recursive: true, mode: 0o711 });
      await writeBundle(spec, this.#cgroups.pathOf(bootId));
      await runSandbox(this.#runsc, {
        bootId,
        bundle: spec.directory,
        logPath: spec.logPath,
        runscLog: bundleFiles.runscLog(spec.directory),
        panicLog: bundleFiles.panicLog(spec.directory),
        signal: AbortSignal.any([
          abort.signal,
          AbortSignal.timeout(deadlines.start),
          ...(signal === undefined ? [] : [signal]),
        ]),
      });
      const state = await readSandboxState(this.#runsc.stateDir, bootId);
      if (state === undefined) throw new Error('runsc left no state');
      this.#attend(bootId, state);
      preferStubs(this.#cgroups, bootId, state).catch((error: unknown) =>
        this.#options.log.warn('Could not tell the kernel which processes to end first', {
          bootId,
          ...errorFields(error),
        }),
      );
    } catch (error) {
      await this.#sweep(bootId).catch((failure: unknown) =>
        this.#options.log.error('Could not clean up after a failed start', { bootId, ...errorFields(failure) }),
      );
      if (
        error instanceof Error &&
        (error.name === 'AbortError' || error.name === 'TimeoutError' || error instanceof Problem)
      )
        throw Problem.from(error);
      throw new Problem('internal', `gVisor could not start boot "${bootId}"`, {
        reason: 'engine_start_failed',
        cause: error,
      });
    } finally {
      this.#starts.delete(bootId);
    }
  }

  async adopt(bootId: BootId): Promise<boolean> {
    return this.#serial.run(bootId, async () => {
      const state = await readSandboxState(this.#runsc.stateDir, bootId);
      if (state === undefined || !hasStarted(state) || !(await this.#isAlive(bootId, state))) return false;
      this.#attend(bootId, state);
      return true;
    });
  }

  async inspect(bootId: BootId): Promise<EngineBootState> {
    const state = await readSandboxState(this.#runsc.stateDir, bootId);
    if (state !== undefined && hasStarted(state) && (await this.#isAlive(bootId, state))) return 'running';
    if (this.#starts.has(bootId)) return 'absent';
    return (await this.list()).includes(bootId) ? 'ended' : 'absent';
  }

  async wait(bootId: BootId, signal?: AbortSignal): Promise<EngineExit> {
    if (signal?.aborted === true) throw Problem.from(signal.reason);
    const known = this.#endings.get(bootId);
    if (known !== undefined) return untilAborted(known.exit, signal);
    const state = await readSandboxState(this.#runsc.stateDir, bootId);
    if (state === undefined && !(await this.list()).includes(bootId))
      throw new Problem('not_found', `Boot "${bootId}" does not exist`, { reason: 'boot_not_found' });
    this.#attend(bootId, state);
    return this.wait(bootId, signal);
  }

  async kill(bootId: BootId): Promise<void> {
    const starting = this.#starts.get(bootId);
    if (starting !== undefined) {
      starting.abort(new Problem('cancelled', `Boot "${bootId}" was ended while it started`));
      return this.#serial.run(bootId, async () => this.#kill(bootId));
    }
    await this.#kill(bootId);
  }

  async #kill(bootId: BootId): Promise<void> {
    const state = await readSandboxState(this.#runsc.stateDir, bootId);
    if (state !== undefined && (await this.#isAlive(bootId, state))) this.#attend(bootId, state);
    const ending = this.#endings.get(bootId);
    ending?.request();
    await this.#cgroups.killAll(bootId, deadlines.kill);
    await ending?.exit;
  }

  async remove(bootId: BootId): Promise<void> {
    this.#endings.get(bootId)?.request();
    this.#starts.get(bootId)?.abort(new Problem('cancelled', `Boot "${bootId}" was removed while it started`));
    await this.#serial.run(bootId, async () => this.#sweep(bootId));
  }

  async list(): Promise<readonly BootId[]> {
    const found = await Promise.all([listSandboxStates(this.#runsc.stateDir), this.#cgroups.list()]);
    return [...new Set(found.flat())];
  }

  async usage(bootId: BootId): Promise<EngineUsage> {
    return this.#cgroups.usage(bootId);
  }

  async freeze(bootId: BootId): Promise<void> {
    await this.#requireRunning(bootId);
    await this.#cgroups.setFrozen(bootId, true, deadlines.freeze);
  }

  async thaw(bootId: BootId): Promise<void> {
    await this.#requireRunning(bootId);
    await this.#cgroups.setFrozen(bootId, false, deadlines.freeze);
  }

  async clear(): Promise<void> {
    const boots = await this.list();
    if (boots.length > 0)
      throw new Problem('precondition_failed', `The engine still holds ${boots.length} boots`, {
        reason: 'boots_left',
      });
    await clearStateDir(this.#runsc.stateDir);
    await this.#cgroups.removeParent();
  }

  async #requireRunning(bootId: BootId): Promise<void> {
    if ((await this.inspect(bootId)) !== 'running')
      throw new Problem('not_found', `Boot "${bootId}" does not run`, { reason: 'boot_not_found' });
  }

  /** Ends whatever is left of a boot and frees it. runsc's own `delete` would start a process, and waits for minutes on a wedged sandbox. */
  async #sweep(bootId: BootId): Promise<void> {
    await this.#cgroups.killAll(bootId, deadlines.kill);
    const ending = this.#endings.get(bootId);
    // The ending reads the counters of the groups.
    if (ending !== undefined) await Promise.race([ending.exit, sleep(deadlines.kill, undefined, { ref: false })]);
    await this.#cgroups.remove(bootId, deadlines.remove);
    await removeSandboxState(this.#runsc.stateDir, bootId);
    this.#endings.delete(bootId);
  }

  async #isAlive(bootId: BootId, state: SandboxState): Promise<boolean> {
    return (await this.#cgroups.processes(bootId)).includes(state.sandboxPid);
  }

  #attend(bootId: BootId, state: SandboxState | undefined): void {
    if (this.#endings.has(bootId)) return;
    const ending = watchSandbox({ bootId, state, cgroups: this.#cgroups, log: this.#options.log });
    this.#endings.set(bootId, ending);
  }
}

/** Whether PID 1 has been started, as far as runsc wrote it down. */
function hasStarted(state: SandboxState): boolean {
  return state.status === 'running' || state.status === 'paused' || state.status === 'stopped';
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(Problem.from(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
