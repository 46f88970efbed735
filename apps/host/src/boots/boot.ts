/** One life of a sandbox: its record, and the steps from start to end. Each step is recorded before it and may be repeated after a kill. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineExit } from '@skerry/engine';
import { Backoff, errorFields, type Log } from '@skerry/kit';
import { type BootExit, type BootReport, type BootUsage, Problem } from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import { type GuestAddress, initialiseGuest, shutDownGuest } from '../guest/guest-control.ts';
import type { BootParts } from './boot-parts.ts';
import { type BootRecord, formatBootRecord } from './boot-record.ts';
import { exitReason } from './exit-reason.ts';

/** How long a guest may take until it answers. */
const guestDeadlineMs = 20_000;
/** A guest that said that everything has ended and is synced may end itself for so long; killing it then loses nothing. */
const guestEndMs = 20;
/** How long ending may take beyond the grace before the caller is told to come back. */
const endingDeadlineMs = 60_000;

export class Boot {
  readonly #parts: BootParts;
  readonly #directory: string;
  readonly #log: Log;
  #record: BootRecord;
  #starting: Promise<void> | undefined;
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
    this.#record = record;
    this.#directory = join(parts.directory, record.spec.bootId);
    this.#log = parts.log.with({ bootId: record.spec.bootId, sandboxId: record.spec.sandboxId });
  }

  get record(): BootRecord {
    return this.#record;
  }

  get ended(): boolean {
    return this.#record.state === 'ended';
  }

  report(): BootReport {
    const { spec, engine, guest, lease, state, startedAtMs, exit, usage } = this.#record;
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
    if (this.#record.state === 'starting') await this.#ending;
    return this.report();
  }

  /** Ends it: asks, waits for `graceMs`, kills. A later call with less grace shortens the wait. */
  async stop(graceMs: number): Promise<BootReport> {
    if (this.ended) return this.report();
    this.#stopRequested = true;
    this.#shortenGrace(graceMs);
    if (this.#record.state === 'starting') {
      this.#startAbort.abort(
        new Problem('cancelled', 'It was stopped while it started', { reason: 'stopped_while_starting' }),
      );
      await this.started();
    }
    if (!this.ended) {
      this.#stopping ??= this.#ending ?? this.#stop(graceMs);
      await withDeadline(this.#stopping, graceMs + endingDeadlineMs);
    }
    return this.report();
  }

  /** Goes on with a boot of an earlier daemon. Returns when it is known whether it runs; what is to be ended ends in the background. */
  async resume(): Promise<void> {
    const { spec, state, exit, hostBootId, lease } = this.#record;
    if (state === 'ended') {
      if (this.#record.cleaned || exit === undefined) return;
      // What it holds of the machine is not free yet: nobody may take it for ended.
      this.#record = { ...this.#record, state: 'stopping' };
      return void this.#end(exit);
    }
    if (hostBootId !== this.#parts.hostBootId) {
      const asked = state === 'stopping';
      return void this.#end({
        reason: asked ? 'stopped' : 'host_restarted',
        detail: asked ? 'It was stopped on request' : 'The machine went down while it ran',
        atMs: Date.now(),
      });
    }
    const connected = lease !== undefined && (await this.#adoptNetwork(lease));
    if (state === 'starting')
      return void this.#end({
        reason: 'start_failed',
        detail: 'The host daemon restarted while it started; starting it again is fine',
        atMs: Date.now(),
      });
    this.#parts.logs.resume(spec.diskId, spec.bootId, this.#record.startedAtMs);
    if (state === 'stopping') this.#stopRequested = true;
    await this.#parts.engine.adopt(spec.bootId, this.#directory);
    this.#watchExit();
    if (state === 'stopping') this.#stopping = this.#stop(this.#record.stopGraceMs ?? 0);
    else if (!connected)
      void this.#end({
        reason: 'engine_failed',
        detail: 'Its network was gone when the host daemon restarted',
        atMs: Date.now(),
      });
  }

  async #adoptNetwork(lease: NonNullable<BootRecord['lease']>): Promise<boolean> {
    try {
      await this.#parts.network.adopt(this.#record.spec.bootId, lease.namespacePath, lease.address);
      return true;
    } catch (error) {
      this.#log.warn('The network of a boot is gone', errorFields(error));
      return false;
    }
  }

  async #start(): Promise<void> {
    const { engine, network, logs, disks, resolvConf, guest, closing } = this.#parts;
    const { spec, startedAtMs, secret } = this.#record;
    const { signal } = this.#startAbort;
    let step = 'recording it';
    try {
      signal.throwIfAborted();
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await this.#save();
      faultPoint('boots.start.recorded');
      this.#parts.feed.boot(this.report());
      step = 'preparing its network';
      const { namespacePath, address } = await network.lease(spec.bootId);
      this.#record = { ...this.#record, lease: { namespacePath, address } };
      faultPoint('boots.start.leased');
      step = 'preparing its files';
      const [logPath] = await Promise.all([logs.prepare(spec.diskId, spec.bootId, startedAtMs), this.#save()]);
      faultPoint('boots.start.prepared');
      step = 'starting its kernel';
      await engine.start(
        {
          bootId: spec.bootId,
          directory: this.#directory,
          root: disks.rootOf(spec.diskId),
          hostname: spec.hostname,
          networkNamespace: namespacePath,
          resolvConf,
          guestPath: guest.path,
          guestEnv: { SKERRY_BOOT_SECRET: secret },
          cpus: spec.cpus,
          memoryMiB: spec.memoryMiB,
          logPath,
        },
        signal,
      );
      faultPoint('boots.start.engine');
      this.#exit = engine.wait(spec.bootId, closing);
      step = 'waiting for its guest';
      const endedEarly = new AbortController();
      this.#exit.then(
        (exit) =>
          endedEarly.abort(
            new Problem('unavailable', `Its first process ended at once: ${exit.detail}`, { reason: 'guest_ended' }),
          ),
        () => undefined,
      );
      const patience = AbortSignal.any([signal, endedEarly.signal, AbortSignal.timeout(guestDeadlineMs)]);
      const answer = await initialiseGuest(this.#guestAddress(), this.#guestSetup(), patience);
      faultPoint('boots.start.initialised');
      step = 'recording that it runs';
      const { guestVersion: version, protocolVersion } = answer;
      this.#record = { ...this.#record, state: 'running', guest: { version, digest: guest.digest, protocolVersion } };
      await this.#save();
      faultPoint('boots.start.running');
      this.#watchExit();
      this.#parts.feed.boot(this.report());
      this.#log.info('Started', { ms: Date.now() - startedAtMs });
    } catch (error) {
      const problem = Problem.from(error);
      this.#log.warn('A boot did not start', { step, ...errorFields(error) });
      const atMs = Date.now();
      const why = problem.code === 'internal' ? '' : `: ${problem.message}`;
      await this.#end(
        this.#stopRequested
          ? { reason: 'stopped', detail: 'It was stopped while it started', atMs }
          : { reason: 'start_failed', detail: `It failed while ${step}${why}`, atMs },
      );
    }
  }

  async #stop(graceMs: number): Promise<void> {
    const { engine } = this.#parts;
    const { bootId } = this.#record.spec;
    this.#record = { ...this.#record, state: 'stopping', stopGraceMs: graceMs };
    await this.#trySave(this.#record);
    faultPoint('boots.stop.recorded');
    this.#parts.feed.boot(this.report());
    this.#shortenGrace(graceMs);
    const agreed = await shutDownGuest(this.#guestAddress(), graceMs, this.#graceOver.signal).then(
      () => true,
      (error: unknown) => {
        this.#log.info('The guest did not shut down when asked', errorFields(error));
        return false;
      },
    );
    clearTimeout(this.#graceTimer);
    faultPoint('boots.stop.asked');
    const exit = await withinMs(this.#exit, agreed ? guestEndMs : 0);
    if (exit === undefined) await this.#untilDone('killing it', () => engine.kill(bootId));
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
    const { bootId, diskId } = this.#record.spec;
    this.#exit ??= engine.wait(bootId, closing);
    this.#exit
      .catch((error: unknown): EngineExit => {
        if (!closing.aborted) this.#log.warn('How a boot ended is not known', errorFields(error));
        return { cause: 'engine_failed', detail: 'nobody saw it' };
      })
      .then(async (exit) => {
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
    const { engine, network, disks, logs } = this.#parts;
    const { bootId, diskId } = this.#record.spec;
    const usage = this.#record.usage ?? (await this.#usage());
    const ended: BootRecord = { ...this.#record, state: 'ended', exit, ...(usage === undefined ? {} : { usage }) };
    await this.#trySave(ended);
    faultPoint('boots.end.recorded');
    // Until the engine holds nothing of it, something may still write to the disk: it is not reported ended before.
    await this.#untilDone('ending it', () => engine.remove(bootId, this.#directory));
    faultPoint('boots.end.engine');
    await Promise.all([
      this.#untilDone('giving its network back', () => network.release(bootId)),
      disks.isDurable(diskId) ? this.#untilDone('syncing its disk', () => this.#parts.sync()) : undefined,
    ]);
    faultPoint('boots.end.network');
    const cleaned: BootRecord = { ...ended, cleaned: true };
    await this.#trySave(cleaned);
    faultPoint('boots.end.cleaned');
    logs.close(bootId);
    disks.release(diskId, bootId);
    this.#record = cleaned;
    this.#parts.feed.boot(this.report());
    this.#log.info('Ended', { reason: exit.reason });
  }

  async #usage(): Promise<BootUsage | undefined> {
    const { engine, network } = this.#parts;
    const { bootId } = this.#record.spec;
    try {
      const [used, traffic] = await Promise.all([engine.usage(bootId), network.traffic(bootId)]);
      return {
        cpuMs: used.cpuMs,
        memoryPeakBytes: used.memoryPeakBytes,
        networkInBytes: traffic.inBytes,
        networkOutBytes: traffic.outBytes,
      };
    } catch (error) {
      this.#log.debug('What a boot used is not known', errorFields(error));
      return undefined;
    }
  }

  /** Repeats a step of ending until it works: a boot that cannot be freed must not look ended. */
  async #untilDone(what: string, step: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(100, 30_000);
    for (;;) {
      try {
        return await step();
      } catch (error) {
        this.#log.error(`A boot is not ended yet: ${what} failed`, errorFields(error));
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
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

  #guestAddress(): GuestAddress {
    return { address: this.#record.lease?.address ?? '', secret: this.#record.secret };
  }

  #guestSetup() {
    const { spec } = this.#record;
    const { images, disks, machineEnv, caBundle } = this.#parts;
    return {
      bootId: spec.bootId,
      sandboxId: spec.sandboxId,
      generation: spec.generation,
      accessToken: spec.accessToken,
      hostname: spec.hostname,
      defaultUser: spec.user,
      ...(spec.workdir === undefined ? {} : { defaultWorkdir: spec.workdir }),
      env: { ...images.envOf(disks.get(spec.diskId).image), ...machineEnv, ...spec.env },
      ...(caBundle === undefined ? {} : { caBundle }),
    };
  }

  /** Writes the record if that is possible. A store without room must not keep anything from ending: what is lost is the reason. */
  async #trySave(record: BootRecord): Promise<void> {
    try {
      await this.#save(record);
    } catch (error) {
      this.#log.error('A boot record cannot be written', errorFields(error));
    }
  }

  /** Writes the record whole. It need not survive power loss: a boot does not either. */
  async #save(record: BootRecord = this.#record): Promise<void> {
    const path = join(this.#directory, 'boot.json');
    await writeFile(`${path}.tmp`, formatBootRecord(record), { mode: 0o600 });
    await rename(`${path}.tmp`, path);
  }
}

async function withinMs<T>(work: Promise<T> | undefined, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work?.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function withDeadline(work: Promise<void>, ms: number): Promise<void> {
  const done = await withinMs(
    work.then(() => true),
    ms,
  );
  if (done !== true)
    throw new Problem('deadline', 'The sandbox has not ended yet', {
      reason: 'boot_not_ended',
      hint: 'Skerry goes on trying: ask again.',
    });
}
