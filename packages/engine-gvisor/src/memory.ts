import type { EngineMemoryFormat } from '@skerry/engine';
import { type BootId, Problem } from '@skerry/model';
import type { Builds } from './builds.ts';
import { bundleFiles, readBuild } from './bundle.ts';
import type { Cgroups } from './cgroups.ts';
import { cpuFeatures } from './cpu-features.ts';
import { clearMemoryImage, dropMemoryImage, sealMemoryImage } from './memory-image.ts';
import { saveSandbox } from './runsc.ts';
import type { SandboxState } from './sandbox-state.ts';
import { specVersion } from './spec-format.ts';
import { Suspensions } from './suspension.ts';

export const engineName = 'gvisor';

/** Deadlines in `ms`. */
const deadlines = { thaw: 5_000, suspend: 10_000, unsuspend: 120_000, save: 60_000 };
/** Slowest writing or reading of an image that is waited for: a busy hard disk. */
const leastBytesPerMs = 20_000;

/** How long a save or a restore of that much memory may take, in `ms`. */
export function transferDeadlineMs(bytes: number): number {
  return deadlines.save + Math.ceil(bytes / leastBytesPerMs);
}

export interface MemoryParts {
  readonly stateDir: string;
  readonly cgroups: Cgroups;
  readonly builds: Builds;
}

/** What the engine does with the memory of boots that run. Callers see to it that one boot's calls come one after the other. */
export class Memory {
  readonly #parts: MemoryParts;
  readonly #suspensions = new Suspensions();

  constructor(parts: MemoryParts) {
    this.#parts = parts;
  }

  async suspend(bootId: BootId, state: SandboxState): Promise<void> {
    await this.#thaw(bootId);
    await this.#suspensions.suspend(bootId, state, deadlines.suspend);
  }

  async unsuspend(bootId: BootId, state: SandboxState): Promise<void> {
    await this.#thaw(bootId);
    // A sandbox that still saves goes on when it is done.
    await this.#suspensions.unsuspend(bootId, state, deadlines.unsuspend);
  }

  /** Throws what went wrong; the boot is suspended then as before. */
  async save(
    bootId: BootId,
    state: SandboxState,
    directory: string,
    signal: AbortSignal | undefined,
  ): Promise<EngineMemoryFormat> {
    const { builds, stateDir, cgroups } = this.#parts;
    const build = await readBuild(state.bundle);
    if (build === undefined || !(await builds.has(build)))
      throw new Problem(
        'unsupported',
        `Boot "${bootId}" was started by a version of Skerry that could not save memory`,
        {
          reason: 'engine_build_missing',
          hint: 'Stop the sandbox and start it: then its memory can be saved.',
        },
      );
    await this.#thaw(bootId);
    if (!(await this.#suspensions.isSuspended(bootId, state, deadlines.suspend)))
      throw new Problem('precondition_failed', `Boot "${bootId}" is not suspended`, { reason: 'boot_not_suspended' });
    const { memoryBytes } = await cgroups.usage(bootId);
    const late = AbortSignal.timeout(transferDeadlineMs(memoryBytes));
    await clearMemoryImage(directory);
    await builds.hold(build, async () => {
      try {
        await saveSandbox(
          { path: builds.pathOf(build), stateDir },
          {
            bootId,
            image: directory,
            runscLog: bundleFiles.saveLog(state.bundle),
            signal: signal === undefined ? late : AbortSignal.any([late, signal]),
          },
        );
        await sealMemoryImage(directory, build);
      } catch (error) {
        await dropMemoryImage(directory);
        throw saveProblem(bootId, error);
      }
    });
    return { engine: engineName, build, specVersion, cpuFeatures: await cpuFeatures() };
  }

  async whyNotRestorable(format: EngineMemoryFormat): Promise<string | undefined> {
    if (format.engine !== engineName)
      return `Its memory was saved by engine "${format.engine}", and this one is "${engineName}"`;
    if (format.specVersion !== specVersion)
      return `Its memory was saved with version ${format.specVersion} of the boot specification, and this Skerry has version ${specVersion}`;
    if (!(await this.#parts.builds.has(format.build)))
      return `Its memory was saved by gVisor build "${format.build}", which this machine does not have`;
    const here = new Set(await cpuFeatures());
    const missing = format.cpuFeatures.filter((feature) => !here.has(feature));
    if (missing.length > 0)
      return `Its memory was saved on a processor with features that this one lacks: ${missing.join(', ')}`;
    return undefined;
  }

  /** Forgets a boot that has ended. */
  forget(bootId: BootId): void {
    this.#suspensions.forget(bootId);
  }

  /** A sandbox that stands still answers nothing. */
  async #thaw(bootId: BootId): Promise<void> {
    await this.#parts.cgroups.setFrozen(bootId, false, deadlines.thaw);
  }
}

const noSpace = /no space left on device|disk quota exceeded|ENOSPC|EDQUOT/i;

function saveProblem(bootId: BootId, error: unknown): Problem {
  if (error instanceof Problem) return error;
  const words = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError'))
    return Problem.from(error);
  if (noSpace.test(words))
    return new Problem('exhausted', "The host's disk is too full to save memory", {
      exhaustion: 'disk',
      reason: 'host_disk_full',
      hint: 'Delete snapshots or sandboxes that are not needed, or give the data directory more room. Nothing was lost: the sandbox goes on.',
      cause: error,
    });
  return new Problem('internal', `gVisor could not save the memory of boot "${bootId}"`, {
    reason: 'engine_save_failed',
    cause: error,
  });
}
