import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Engine,
  EngineBootSpec,
  EngineBootState,
  EngineDescription,
  EngineExit,
  EngineMemoryFormat,
  EngineUsage,
} from '@skerry/engine';
import { errorFields, KeyedSerial, type Log } from '@skerry/kit';
import { type BootId, Problem } from '@skerry/model';
import { Builds } from './builds.ts';
import { bundleFiles, readBuild, writeBundle } from './bundle.ts';
import { Cgroups } from './cgroups.ts';
import { engineName, Memory, transferDeadlineMs } from './memory.ts';
import { checkMemoryImage } from './memory-image.ts';
import { restoreProblem, startProblem } from './begin-problem.ts';
import { type Ending, watchSandbox } from './watch.ts';
import { preferStubs } from './prefer-stubs.ts';
import { probeRunsc } from './probe.ts';
import { runSandbox } from './runsc.ts';
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
  /**
   * Directory in which every build of runsc lies that a boot or a memory image was begun with; durable, and on a file system that lets programs
   * be run. Made when absent.
   */
  readonly buildsDir: string;
  readonly log: Log;
}

/** Deadlines in `ms`. A start is generous because a hundred of them may share two cores. */
const deadlines = { start: 60_000, kill: 10_000, remove: 10_000, freeze: 5_000 };

export function createGvisorEngine(options: GvisorEngineOptions): Engine {
  return new GvisorEngine(options);
}

class GvisorEngine implements Engine {
  readonly #options: GvisorEngineOptions;
  readonly #stateDir: string;
  readonly #builds: Builds;
  readonly #memory: Memory;
  readonly #cgroups: Cgroups;
  readonly #serial = new KeyedSerial<BootId>();
  readonly #starts = new Map<BootId, AbortController>();
  readonly #saves = new Map<BootId, AbortController>();
  readonly #endings = new Map<BootId, Ending>();
  #probed: Promise<void> | undefined;

  constructor(options: GvisorEngineOptions) {
    this.#options = options;
    this.#stateDir = options.stateDir;
    this.#builds = new Builds(options.buildsDir);
    this.#cgroups = new Cgroups(options.instance);
    this.#memory = new Memory({ stateDir: options.stateDir, cgroups: this.#cgroups, builds: this.#builds });
  }

  async describe(signal?: AbortSignal): Promise<EngineDescription> {
    const { runscPath, runscVersion, stateDir } = this.#options;
    this.#probed ??= probeRunsc({ path: runscPath, stateDir }, runscVersion, signal);
    try {
      await this.#probed;
    } catch (error) {
      this.#probed = undefined;
      throw error;
    }
    return {
      name: engineName,
      version: runscVersion,
      build: runscVersion,
      isolation: 'gvisor',
      capabilities: { freeze: true, memorySnapshot: true, diskForm: 'tree' },
    };
  }

  async start(spec: EngineBootSpec, signal?: AbortSignal): Promise<void> {
    await this.#serial.run(spec.bootId, async () => this.#begin(spec, undefined, signal));
  }

  async restore(
    spec: EngineBootSpec,
    memoryDirectory: string,
    format: EngineMemoryFormat,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#serial.run(spec.bootId, async () => this.#begin(spec, { directory: memoryDirectory, format }, signal));
  }

  /** Starts a boot, or brings one back from saved memory. */
  async #begin(spec: EngineBootSpec, image: MemoryImage | undefined, signal?: AbortSignal): Promise<void> {
    const { bootId } = spec;
    if (signal?.aborted === true) throw Problem.from(signal.reason);
    const before = await readSandboxState(this.#stateDir, bootId);
    if (before !== undefined && hasStarted(before)) {
      if (await this.#isAlive(bootId, before)) return this.#attend(bootId, before);
      throw new Problem('precondition_failed', `Boot "${bootId}" has ended already`, { reason: 'boot_ended' });
    }
    const abort = new AbortController();
    this.#starts.set(bootId, abort);
    try {
      const build = image === undefined ? this.#options.runscVersion : image.format.build;
      await this.#builds.hold(build, async () => {
        const { path, deadlineMs } = image === undefined ? await this.#ownBuild() : await this.#buildOf(image, spec);
        // What a start that was killed half-way left would be taken over by runsc as it is: a group without limits.
        if (before !== undefined || (await this.#cgroups.exists(bootId))) await this.#sweep(bootId);
        await mkdir(this.#stateDir, { recursive: true, mode: 0o711 });
        const restored = image !== undefined;
        await writeBundle(spec, { cgroupsPath: this.#cgroups.pathOf(bootId), build, restored });
        await runSandbox(
          { path, stateDir: this.#stateDir },
          {
            bootId,
            bundle: spec.directory,
            logPath: spec.logPath,
            runscLog: bundleFiles.runscLog(spec.directory),
            panicLog: bundleFiles.panicLog(spec.directory),
            ...(image === undefined ? {} : { image: image.directory }),
            signal: AbortSignal.any([
              abort.signal,
              AbortSignal.timeout(deadlineMs),
              ...(signal === undefined ? [] : [signal]),
            ]),
          },
        );
      });
      const state = await readSandboxState(this.#stateDir, bootId);
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
      throw image === undefined ? startProblem(bootId, error) : restoreProblem(bootId, error);
    } finally {
      this.#starts.delete(bootId);
    }
  }

  /** The build that new boots get. */
  async #ownBuild(): Promise<BuildToRun> {
    const { runscPath, runscVersion } = this.#options;
    const path = await this.#builds.keep(runscVersion, runscPath);
    return { path, deadlineMs: deadlines.start };
  }

  /** The build that wrote an image, once it is known that it can bring it back. */
  async #buildOf({ directory, format }: MemoryImage, { memoryMiB }: EngineBootSpec): Promise<BuildToRun> {
    const why = await this.whyNotRestorable(format);
    if (why !== undefined)
      throw new Problem('unsupported', why, {
        reason: 'memory_not_restorable',
        hint: 'The disk is whole: start from it without its memory.',
      });
    const bytes = await checkMemoryImage(directory, format.build);
    if (bytes > memoryMiB * 1024 * 1024)
      throw new Problem('precondition_failed', `The saved memory does not fit into ${memoryMiB} MiB`, {
        reason: 'memory_too_small',
        hint: 'Give the sandbox as much memory as it had when it was saved.',
      });
    const path = this.#builds.pathOf(format.build);
    return { path, deadlineMs: transferDeadlineMs(bytes) };
  }

  async adopt(bootId: BootId): Promise<boolean> {
    return this.#serial.run(bootId, async () => {
      const state = await readSandboxState(this.#stateDir, bootId);
      if (state === undefined || !hasStarted(state) || !(await this.#isAlive(bootId, state))) return false;
      this.#attend(bootId, state);
      return true;
    });
  }

  async inspect(bootId: BootId): Promise<EngineBootState> {
    const state = await readSandboxState(this.#stateDir, bootId);
    if (state !== undefined && hasStarted(state) && (await this.#isAlive(bootId, state))) return 'running';
    if (this.#starts.has(bootId)) return 'absent';
    return (await this.list()).includes(bootId) ? 'ended' : 'absent';
  }

  async wait(bootId: BootId, signal?: AbortSignal): Promise<EngineExit> {
    if (signal?.aborted === true) throw Problem.from(signal.reason);
    const known = this.#endings.get(bootId);
    if (known !== undefined) return untilAborted(known.exit, signal);
    const state = await readSandboxState(this.#stateDir, bootId);
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
    const state = await readSandboxState(this.#stateDir, bootId);
    if (state !== undefined && (await this.#isAlive(bootId, state))) this.#attend(bootId, state);
    const ending = this.#endings.get(bootId);
    ending?.request();
    await this.#cgroups.killAll(bootId, deadlines.kill);
    await ending?.exit;
  }

  async remove(bootId: BootId): Promise<void> {
    this.#endings.get(bootId)?.request();
    this.#starts.get(bootId)?.abort(new Problem('cancelled', `Boot "${bootId}" was removed while it started`));
    this.#saves.get(bootId)?.abort(new Problem('cancelled', `Boot "${bootId}" was removed while its memory was saved`));
    await this.#serial.run(bootId, async () => this.#sweep(bootId));
  }

  async list(): Promise<readonly BootId[]> {
    const found = await Promise.all([listSandboxStates(this.#stateDir), this.#cgroups.list()]);
    return [...new Set(found.flat())];
  }

  async usage(bootId: BootId): Promise<EngineUsage> {
    return this.#cgroups.usage(bootId);
  }

  async freeze(bootId: BootId): Promise<void> {
    await this.#whileRunning(bootId, async () => this.#cgroups.setFrozen(bootId, true, deadlines.freeze));
  }

  async thaw(bootId: BootId): Promise<void> {
    await this.#whileRunning(bootId, async () => this.#cgroups.setFrozen(bootId, false, deadlines.freeze));
  }

  async suspend(bootId: BootId): Promise<void> {
    await this.#whileRunning(bootId, async (state) => this.#memory.suspend(bootId, state));
  }

  async unsuspend(bootId: BootId): Promise<void> {
    await this.#whileRunning(bootId, async (state) => this.#memory.unsuspend(bootId, state));
  }

  async saveMemory(bootId: BootId, directory: string, signal?: AbortSignal): Promise<EngineMemoryFormat> {
    if (signal?.aborted === true) throw Problem.from(signal.reason);
    return this.#whileRunning(bootId, async (state) => {
      const abort = new AbortController();
      this.#saves.set(bootId, abort);
      const either = signal === undefined ? abort.signal : AbortSignal.any([abort.signal, signal]);
      try {
        return await this.#memory.save(bootId, state, directory, either);
      } finally {
        this.#saves.delete(bootId);
      }
    });
  }

  async whyNotRestorable(format: EngineMemoryFormat): Promise<string | undefined> {
    const { runscPath, runscVersion } = this.#options;
    // An image of the present build may come from elsewhere, before any boot was started here.
    if (format.build === runscVersion) await this.#builds.keep(runscVersion, runscPath);
    return this.#memory.whyNotRestorable(format);
  }

  async retainBuilds(formats: readonly EngineMemoryFormat[]): Promise<void> {
    await this.#builds.retain(async () => {
      const wanted = new Set([this.#options.runscVersion]);
      for (const format of formats) if (format.engine === engineName) wanted.add(format.build);
      for (const bootId of await this.list()) {
        const state = await readSandboxState(this.#stateDir, bootId);
        const build = state === undefined ? undefined : await readBuild(state.bundle);
        if (build !== undefined) wanted.add(build);
      }
      return wanted;
    });
  }

  async clear(): Promise<void> {
    const boots = await this.list();
    if (boots.length > 0)
      throw new Problem('precondition_failed', `The engine still holds ${boots.length} boots`, {
        reason: 'boots_left',
      });
    await clearStateDir(this.#stateDir);
    await this.#cgroups.removeParent();
  }

  async #requireRunning(bootId: BootId): Promise<SandboxState> {
    const state = await readSandboxState(this.#stateDir, bootId);
    if (state !== undefined && hasStarted(state) && (await this.#isAlive(bootId, state))) return state;
    throw notRunning(bootId);
  }

  /** Does what needs a boot to run, one thing after the other. What fails because the boot ended meanwhile says so. */
  async #whileRunning<T>(bootId: BootId, work: (state: SandboxState) => Promise<T>): Promise<T> {
    return this.#serial.run(bootId, async () => {
      const state = await this.#requireRunning(bootId);
      try {
        return await work(state);
      } catch (error) {
        if (await this.#isAlive(bootId, state)) throw Problem.from(error);
        throw notRunning(bootId, error);
      }
    });
  }

  /** Ends whatever is left of a boot and frees it. runsc's own `delete` would start a process, and waits for minutes on a wedged sandbox. */
  async #sweep(bootId: BootId): Promise<void> {
    await this.#cgroups.killAll(bootId, deadlines.kill);
    const ending = this.#endings.get(bootId);
    // The ending reads the counters of the groups.
    if (ending !== undefined) await Promise.race([ending.exit, sleep(deadlines.kill, undefined, { ref: false })]);
    await this.#cgroups.remove(bootId, deadlines.remove);
    await removeSandboxState(this.#stateDir, bootId);
    this.#endings.delete(bootId);
    this.#memory.forget(bootId);
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

interface MemoryImage {
  readonly directory: string;
  readonly format: EngineMemoryFormat;
}

interface BuildToRun {
  readonly path: string;
  readonly deadlineMs: number;
}

function notRunning(bootId: BootId, cause?: unknown): Problem {
  return new Problem('not_found', `Boot "${bootId}" does not run`, { reason: 'boot_not_found', cause });
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
