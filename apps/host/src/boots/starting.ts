/** The steps from a boot's record to a guest that answers. */
import { mkdir } from 'node:fs/promises';
import type { EngineBootSpec, EngineExit } from '@skerry/engine';
import { Problem } from '@skerry/model';
import { faultPoint } from '../fault-points.ts';
import { initialiseGuest } from '../guest/guest-control.ts';
import type { BootContext } from './boot-parts.ts';
import { guestAddress, guestSetup } from './guest-link.ts';
import { logHooks } from './hooks.ts';
import { bringMemoryBack } from './restoring.ts';

/** How long a guest may take until it answers; one that was restored runs hooks of the sandbox first. */
const guestDeadlineMs = { start: 20_000, restore: 45_000 };

/** A boot that runs. */
export interface Started {
  /** How PID 1 ends. */
  readonly exit: Promise<EngineExit>;
}

/** Starts a boot. `onStep` is told what is done next, in words, and whether saved memory is what it is about. */
export async function bringUp(
  context: BootContext,
  signal: AbortSignal,
  onStep: (step: string, ofMemory: boolean) => void,
  recorded: () => void,
): Promise<Started> {
  const { parts, file, log } = context;
  const { engine, network, logs, disks, resolvConf, closing } = parts;
  const { spec, startedAtMs, secret, guestPath, guestDigest } = file.record;
  signal.throwIfAborted();
  await mkdir(file.directory, { recursive: true, mode: 0o700 });
  await file.save();
  faultPoint('boots.start.recorded');
  recorded();
  onStep('preparing its network', false);
  const { namespacePath, address } = await network.lease(spec.bootId);
  file.record = { ...file.record, lease: { namespacePath, address } };
  faultPoint('boots.start.leased');
  onStep('preparing its files', false);
  const [logPath] = await Promise.all([logs.prepare(spec.diskId, spec.bootId, startedAtMs), file.save()]);
  faultPoint('boots.start.prepared');
  const engineSpec: EngineBootSpec = {
    bootId: spec.bootId,
    directory: file.directory,
    root: disks.rootOf(spec.diskId),
    hostname: spec.hostname,
    networkNamespace: namespacePath,
    resolvConf,
    guestPath,
    guestEnv: { SKERRY_BOOT_SECRET: secret },
    cpus: spec.cpus,
    memoryMiB: spec.memoryMiB,
    logPath,
  };
  const restored = spec.restoreFrom !== undefined;
  if (restored) {
    onStep('bringing its saved memory back', true);
    await bringMemoryBack(context, engineSpec, signal);
    faultPoint('boots.restore.engine');
  } else {
    await disks.settle(spec.diskId);
    await disks.clearPoint(spec.diskId);
    onStep('starting its kernel', false);
    await engine.start(engineSpec, signal);
    faultPoint('boots.start.engine');
  }
  const exit = engine.wait(spec.bootId, closing);
  onStep('waiting for its guest', restored);
  const endedEarly = new AbortController();
  exit.then(
    ({ detail }) =>
      endedEarly.abort(
        new Problem('unavailable', `Its first process ended at once: ${detail}`, { reason: 'guest_ended' }),
      ),
    () => undefined,
  );
  const patience = AbortSignal.any([
    signal,
    endedEarly.signal,
    AbortSignal.timeout(restored ? guestDeadlineMs.restore : guestDeadlineMs.start),
  ]);
  const answer = await initialiseGuest(guestAddress(context), guestSetup(context), patience);
  faultPoint(restored ? 'boots.restore.initialised' : 'boots.start.initialised');
  logHooks(log, answer.hooks);
  onStep('recording that it runs', false);
  const { guestVersion: version, protocolVersion } = answer;
  await file.save({ state: 'running', guest: { version, digest: guestDigest, protocolVersion } });
  faultPoint(restored ? 'boots.restore.running' : 'boots.start.running');
  // Nobody knows yet that it runs: until this is durable, the memory can be brought back once more.
  if (restored) await disks.clearPoint(spec.diskId);
  return { exit };
}
