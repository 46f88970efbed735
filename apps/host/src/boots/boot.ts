/** One life of a sandbox: its record, and its way from start to end. Each step is recorded before it and may be repeated after a kill. */
import { join } from 'node:path';
import type { EngineExit } from '@skerry/engine';
import { errorFields, type Log } from '@skerry/kit';
import { type BootActivity, type BootExit, type BootReport, Problem, type SnapshotId } from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import { shutDownGuest } from '../guest/guest-control.ts';
import { BootFile } from './boot-file.ts';
import type { BootContext, BootParts } from './boot-parts.ts';
import type { BootRecord } from './boot-record.ts';
import { Chill } from './chill.ts';
import { freeBoot } from './ending.ts';
import { exitReason, failedStart } from './exit-reason.ts';
import { guestAddress } from './guest-link.ts';
import { type SaveRequest, saveBoot, undoSaving } from './saving.ts';
import { bringUp } from './starting.ts';
import { endedWithinMs, untilDone, withinMs } from './waiting.ts';

/** A guest that said that everything has ended and is synced may end itself for so long; killing it then loses nothing. */
const guestEndMs = 20;
/** How long ending may take beyond the grace before the caller is told to come back. */
const endingDeadlineMs = 60_000;

/** A snapshot in the making. */
interface Saving {
  /** Absent while the boot recovers from one that an earlier daemon did not complete. */
  readonly snapshotId?: SnapshotId;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

export class Boot {
  readonly #parts: BootParts;
  readonly #file: BootFile;
  readonly #log: Log;
  readonly #context: BootContext;
  readonly #chill: Chill;
  #starting: Promise<void> | undefined;
  #saving: Saving | undefined;
  #stopping: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #stopRequested = false;
  readonly #startAbort = new AbortController();
  /** When the grace of a stop is over, in Unix `ms`; a later stop may bring it forward. */
  #graceEndsAtMs = Number.POSITIVE_INFINITY;
  #graceOver = new AbortController();
  #graceTimer: NodeJS.Timeout | undefined;
  /** How PID 1 ended; pending while it runs. */
  #exit: Promise<EngineExit> | undefined;

  constructor(parts: BootParts, record: BootRecord) {
    this.#parts = parts;
    this.#log = parts.log.with({ bootId: record.spec.bootId, sandboxId: record.spec.sandboxId });
    this.#file = new BootFile(join(parts.directory, record.spec.bootId), record, this.#log);
    this.#context = { parts, file: this.#file, log: this.#log };
    this.#chill = new Chill(this.#context);
  }

  get record(): BootRecord {
    return this.#file.record;
  }

  get ended(): boolean {
    return this.record.state === 'ended';
  }

  report(): BootReport {
    const { spec, engine, guest, lease, state, startedAtMs, exit, usage } = this.record;
    return {
      bootId: spec.bootId,
      sandboxId: spec.sandboxId,
      diskId: spec.diskId,
      state,
      engine,
      ...(guest === undefined ? {} : { guest }),
      ...(lease === undefined || state !== 'running' ? {} : { address: lease.address }),
      startedAtMs,
      ...(exit === undefined ? {} : { exit }),
      ...(usage === undefined ? {} : { usage }),
    };
  }

  /** Starts it when `slot` lets it. Never throws for a start that failed: that is an end. */
  async start(slot: (work: () => Promise<void>) => Promise<void>): Promise<BootReport> {
    this.#starting ??= slot(() => this.#start());
    return this.started();
  }

  /** What has become of it when it does not start any more. */
  async started(): Promise<BootReport> {
    await this.#starting;
    if (this.record.state === 'starting') await this.#ending;
    return this.report();
  }

  /** Ends it: asks, waits for `graceMs`, kills. A later call with less grace shortens the wait. A snapshot that is being made is given up. */
  async stop(graceMs: number): Promise<BootReport> {
    if (this.ended) return this.report();
    this.#stopRequested = true;
    this.#shortenGrace(graceMs);
    if (this.record.state === 'starting') {
      this.#startAbort.abort(
        new Problem('cancelled', 'It was stopped while it started', { reason: 'stopped_while_starting' }),
      );
      await this.started();
    }
    const saving = this.#saving;
    if (saving !== undefined) {
      saving.abort.abort(
        new Problem('conflict', 'The sandbox was stopped while its state was saved', {
          reason: 'stopped_while_saving',
        }),
      );
      await endedWithinMs(
        saving.done.catch(() => undefined),
        graceMs + endingDeadlineMs,
      );
    }
    if (!this.ended) {
      this.#stopping ??= this.#ending ?? this.#stop(graceMs);
      await endedWithinMs(this.#stopping, graceMs + endingDeadlineMs);
    }
    return this.report();
  }

  /** Makes a snapshot; with `end` the boot has ended when this returns. Throws when it could not be made: the boot goes on then. */
  async save(request: SaveRequest): Promise<void> {
    for (let other = this.#saving; other !== undefined; other = this.#saving) {
      if (other.snapshotId === request.snapshotId) return other.done;
      await other.done.catch(() => undefined);
    }
    this.#requireRunning();
    const abort = new AbortController();
    const done = this.#save(request, abort.signal).finally(() => {
      if (this.#saving?.abort === abort) this.#saving = undefined;
    });
    this.#saving = { snapshotId: request.snapshotId, abort, done };
    return done;
  }

  /** Resolves when it has ended, if it is on its way there. */
  async settled(): Promise<void> {
    await this.#saving?.done.catch(() => undefined);
    await this.#ending;
  }

  /** Stops all work in it, with its memory in RAM. */
  async freeze(): Promise<void> {
    await this.#saving?.done.catch(() => undefined);
    this.#requireRunning();
    await this.#chill.freeze();
  }

  async thaw(): Promise<void> {
    this.#requireRunning();
    await this.#chill.thaw();
  }

  /** What it uses now; `undefined` when it does not run. */
  async activity(): Promise<BootActivity | undefined> {
    const { spec, state, frozen } = this.record;
    if (state !== 'running') return undefined;
    const [used, traffic] = await Promise.all([
      this.#parts.engine.usage(spec.bootId),
      this.#parts.network.traffic(spec.bootId),
    ]);
    return {
      bootId: spec.bootId,
      cpuMs: used.cpuMs,
      memoryBytes: used.memoryBytes,
      networkInBytes: traffic.inBytes,
      networkOutBytes: traffic.outBytes,
      frozen: frozen ?? false,
      atMs: Date.now(),
    };
  }

  /** Goes on with a boot of an earlier daemon. Returns when it is known whether it runs; what is to be ended ends in the background. */
  async resume(): Promise<void> {
    const { spec, state, exit, hostBootId, lease, saving, startedAtMs } = this.record;
    if (state === 'ended') {
      if (this.record.cleaned || exit === undefined) return;
      // What it holds of the machine is not free yet: nobody may take it for ended.
      this.#file.record = { ...this.record, state: 'stopping' };
      return void this.#end(exit);
    }
    // Its memory and files are complete, and it has been suspended since: it may not go on.
    const saved = saving?.end === true && this.#parts.snapshots.has(saving.snapshotId);
    if (hostBootId !== this.#parts.hostBootId) {
      const asked = state === 'stopping';
      const ended = asked
        ? ({ reason: 'stopped', detail: 'It was stopped on request' } as const)
        : ({ reason: 'host_restarted', detail: 'The machine went down while it ran' } as const);
      return void this.#end(saved ? pausedExit() : { ...ended, atMs: Date.now() });
    }
    const connected = lease !== undefined && (await this.#adoptNetwork(lease));
    if (state === 'starting')
      return void this.#end({
        reason: 'start_failed',
        detail: 'The host daemon restarted while it started; starting it again is fine',
        atMs: Date.now(),
      });
    if (saved) return void this.#end(pausedExit());
    this.#parts.logs.resume(spec.diskId, spec.bootId, startedAtMs);
    if (state === 'stopping') this.#stopRequested = true;
    await this.#parts.engine.adopt(spec.bootId, this.#file.directory);
    if (saving !== undefined) this.#recover();
    else await this.#endRestoring();
    this.#watchExit();
    if (state === 'stopping') this.#stopping = this.#stop(this.record.stopGraceMs ?? 0);
    else if (!connected)
      void this.#end({
        reason: 'engine_failed',
        detail: 'Its network was gone when the host daemon restarted',
        atMs: Date.now(),
      });
  }

  async #adoptNetwork(lease: NonNullable<BootRecord['lease']>): Promise<boolean> {
    try {
      await this.#parts.network.adopt(this.record.spec.bootId, lease.namespacePath, lease.address);
      return true;
    } catch (error) {
      this.#log.warn('The network of a boot is gone', errorFields(error));
      return false;
    }
  }

  /** Lets a boot go on that an earlier daemon was saving. */
  #recover(): void {
    const abort = new AbortController();
    const done = undoSaving(this.#context).finally(() => {
      if (this.#saving?.abort === abort) this.#saving = undefined;
    });
    done.catch((error: unknown) => this.#log.error('A boot that was being saved does not go on', errorFields(error)));
    this.#saving = { abort, done };
  }

  /** What runs may write: from now on its disk has files of its own, also when an earlier daemon died before it wrote that down. */
  async #endRestoring(): Promise<void> {
    const { diskId } = this.record.spec;
    await untilDone(
      this.#log,
      'The mark of a disk cannot be removed yet',
      () => this.#parts.disks.clearPoint(diskId),
      () => this.#ending !== undefined,
    );
  }

  async #start(): Promise<void> {
    const doing = { step: 'recording it', memory: false };
    const { spec, startedAtMs } = this.record;
    const release = this.#useSnapshot();
    try {
      const { exit } = await bringUp(
        this.#context,
        this.#startAbort.signal,
        (step, memory) => Object.assign(doing, { step, memory }),
        () => this.#parts.feed.boot(this.report()),
      );
      this.#exit = exit;
      this.#watchExit();
      this.#parts.feed.boot(this.report());
      this.#log.info('Started', { ms: Date.now() - startedAtMs, restoredFrom: spec.restoreFrom });
    } catch (error) {
      this.#log.warn('A boot did not start', { step: doing.step, ...errorFields(error) });
      await this.#end(failedStart(Problem.from(error), doing, this.#stopRequested, Date.now()));
    } finally {
      release();
    }
  }

  /** Keeps the snapshot that it starts from. One that is not there is told of by the start itself. */
  #useSnapshot(): () => void {
    const { restoreFrom } = this.record.spec;
    const { snapshots } = this.#parts;
    return restoreFrom === undefined || !snapshots.has(restoreFrom) ? () => undefined : snapshots.use(restoreFrom);
  }

  async #save(request: SaveRequest, signal: AbortSignal): Promise<void> {
    if (request.memory) await this.#chill.thaw();
    await saveBoot(this.#context, request, signal);
    if (request.end) await this.#end(pausedExit());
  }

  async #stop(graceMs: number): Promise<void> {
    const { engine } = this.#parts;
    const { bootId } = this.record.spec;
    await this.#saving?.done.catch(() => undefined);
    this.#file.record = { ...this.record, state: 'stopping', stopGraceMs: graceMs };
    await this.#file.tryWrite(this.record);
    faultPoint('boots.stop.recorded');
    this.#parts.feed.boot(this.report());
    this.#shortenGrace(graceMs);
    await this.#chill
      .thaw()
      .catch((error: unknown) => this.#log.warn('A frozen boot cannot be thawed to end it', errorFields(error)));
    const agreed = await shutDownGuest(guestAddress(this.#context), graceMs, this.#graceOver.signal).then(
      () => true,
      (error: unknown) => {
        this.#log.info('The guest did not shut down when asked', errorFields(error));
        return false;
      },
    );
    clearTimeout(this.#graceTimer);
    faultPoint('boots.stop.asked');
    const exit = await withinMs(this.#exit, agreed ? guestEndMs : 0);
    if (exit === undefined)
      await untilDone(this.#log, 'A boot is not ended yet: killing it failed', () => engine.kill(bootId));
    await this.#end({
      reason: 'stopped',
      ...(exit?.status === undefined ? {} : { status: exit.status }),
      detail: 'It was stopped on request',
      atMs: Date.now(),
    });
  }

  /** Lets the end of PID 1, whenever it comes, be the end of the boot. */
  #watchExit(): void {
    const { engine, disks, closing } = this.#parts;
    const { bootId, diskId } = this.record.spec;
    this.#exit ??= engine.wait(bootId, closing);
    this.#exit
      .catch((error: unknown): EngineExit => {
        if (!closing.aborted) this.#log.warn('How a boot ended is not known', errorFields(error));
        return { cause: 'engine_failed', detail: 'nobody saw it' };
      })
      .then(async (exit) => {
        await this.#saving?.done.catch(() => undefined);
        if (closing.aborted || this.#stopping !== undefined || this.#ending !== undefined) return;
        const diskFull = await disks.isFull(diskId).catch(() => false);
        this.#log.info('A boot ended', { ...exit });
        await this.#end(exitReason(exit, { stopRequested: this.#stopRequested, diskFull }, Date.now()));
      })
      .catch((error: unknown) => this.#log.error('The end of a boot failed', errorFields(error)));
  }

  /** Frees all that it holds and records the end; once. */
  #end(exit: BootExit): Promise<void> {
    this.#ending ??= this.#free(exit);
    return this.#ending;
  }

  async #free(exit: BootExit): Promise<void> {
    await freeBoot(this.#context, exit);
    this.#parts.feed.boot(this.report());
    this.#log.info('Ended', { reason: exit.reason });
  }

  #requireRunning(): void {
    const { state } = this.record;
    if (state === 'running' && !this.#stopRequested && this.#ending === undefined) return;
    throw new Problem(
      'precondition_failed',
      `The sandbox does not run: its boot is ${this.ended ? 'ended' : state === 'running' ? 'ending' : state}`,
      {
        reason: 'boot_not_running',
      },
    );
  }

  #shortenGrace(graceMs: number): void {
    const endsAtMs = Date.now() + graceMs;
    if (endsAtMs >= this.#graceEndsAtMs) return;
    this.#graceEndsAtMs = endsAtMs;
    clearTimeout(this.#graceTimer);
    // The guest itself kills when the grace is over, and needs a moment to say so.
    this.#graceTimer = setTimeout(
      () => this.#graceOver.abort(new Problem('deadline', 'The grace is over')),
      graceMs + 1500,
    );
  }
}

function pausedExit(): BootExit {
  return { reason: 'paused', detail: 'Its memory and files were saved, then it ended', atMs: Date.now() };
}
