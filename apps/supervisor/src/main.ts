import { appendFileSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createLog, errorFields, type Log } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { parseArguments, type SupervisorArguments } from './arguments.ts';
import { hasDatabase, refuseLostDatabase, setDatabaseAside, UnfinishedRecovery } from './control/recover.ts';
import { readArtifacts, writeConfigFiles } from './instance/config-files.ts';
import { ensureExportKeys } from './instance/export-keys.ts';
import {
  ensureDataDir,
  ensureSecrets,
  type InstanceIdentity,
  newIdentity,
  otherIdentities,
  readIdentity,
  writeIdentity,
} from './instance/identity.ts';
import { type Layout, layoutOf, lockFileOf, runRoot } from './instance/layout.ts';
import {
  defaultListen,
  formatListen,
  type ListenAddress,
  localUrl,
  parseListen,
  refuseOpenListen,
  refuseTakenPort,
} from './instance/listen.ts';
import { InstanceLock } from './instance/lock.ts';
import { readSettings } from './instance/settings.ts';
import { makeRunDirs } from './instance/run-dirs.ts';
import { type Report, reportToStdout } from './report.ts';
import { ensureParent, Supervisor } from './supervisor.ts';

const checkout = resolve(import.meta.dirname, '../../..');

/** `main.ts --data DIR --artifacts FILE [--listen HOST:PORT] [--insecure] [--down | --recover [--replace]]`: runs an instance until SIGTERM, brings it down, or makes its database anew. */
async function main(): Promise<void> {
  const report = reportToStdout();
  try {
    const wanted = parseArguments(process.argv.slice(2));
    if (process.getuid?.() !== 0)
      throw new Problem('forbidden', 'Only root can start Skerry', {
        reason: 'not_root',
        hint: 'Use sudo: sandboxes need namespaces, mounts and packet filters.',
      });
    await refuseHiddenCheckout();
    await ensureParent(wanted.dataDir);
    const lock = await InstanceLock.take(lockFileOf(wanted.dataDir), () => {
      // Somebody ended the holder: nobody could tell us from a second supervisor any more.
      process.kill(process.pid, 'SIGTERM');
    });
    try {
      await (wanted.down ? bringDown : wanted.recover ? recover : run)(wanted, report);
    } finally {
      await lock[Symbol.asyncDispose]();
    }
  } catch (error) {
    const problem = Problem.from(error);
    if (problem.reason === 'already_running') {
      report({ event: 'already_running', dataDir: resolve(argumentAfter('--data') ?? '.') });
      return;
    }
    report({
      event: 'failed',
      code: problem.code,
      reason: problem.reason,
      message:
        problem.code === 'internal' && problem.cause instanceof Error
          ? `${problem.message}: ${problem.cause.message}`
          : problem.message,
      ...(problem.hint === undefined ? {} : { hint: problem.hint }),
    });
    process.stderr.write(`${JSON.stringify(errorFields(error))}\n`);
    process.exitCode = problem.exitCode;
  }
}

async function run(wanted: SupervisorArguments, report: Report): Promise<void> {
  const { dataDir } = wanted;
  const present = await readIdentity(dataDir);
  const listen = wanted.listen ?? (present === undefined ? defaultListen : parseListen(present.listen));
  refuseOpenListen(listen, wanted.insecure);
  const artifacts = await readArtifacts(wanted.artifactsFile);
  const settings = await readSettings(dataDir);
  const made = present ?? (await newIdentity(formatListen(listen), await otherIdentities(runRoot, undefined)));
  const identity: InstanceIdentity = { ...made, listen: formatListen(listen) };
  const layout = layoutOf(dataDir, identity);
  const fresh = !(await exists(layout.runDir));
  await ensureDataDir(dataDir, layout.uids.server);
  const log = logTo(join(layout.logDir, 'supervisor.log'));
  await refuseLostDatabase(dataDir, layout.serverDir, identity.ran === true);
  const supervisor = makeSupervisor(layout, identity, listen, log, report);
  await supervisor.endStale();
  await refuseTakenPort(listen);
  await writeIdentity(dataDir, identity);
  const secrets = await ensureSecrets(dataDir);
  await makeRunDirs(layout, identity);
  const exportKeys = await ensureExportKeys(dataDir);
  const { allowEgress } = wanted;
  await writeConfigFiles({ layout, identity, secrets, artifacts, listen, allowEgress, settings, exportKeys });
  const asked = untilAsked(supervisor);
  try {
    await Promise.race([supervisor.up(), asked.first]);
  } catch (error) {
    log.error('Skerry did not start', errorFields(error));
    // Sandboxes of an earlier run are not ours to end because a start failed.
    await (fresh ? supervisor.down(true) : supervisor.abandon()).catch((cause: unknown) =>
      log.error('What was started could not be taken back', errorFields(cause)),
    );
    throw error;
  }
  if (identity.ran !== true) await writeIdentity(dataDir, { ...identity, ran: true });
  const { hard, problem } = await asked.down;
  report({ event: 'down', hard });
  if (hard || problem !== undefined) process.exitCode = 1;
}

async function bringDown(wanted: SupervisorArguments, report: Report): Promise<void> {
  const identity = await readIdentity(wanted.dataDir);
  if (identity === undefined || !(await exists(layoutOf(wanted.dataDir, identity).runDir))) {
    report({ event: 'down', hard: false });
    return;
  }
  const { supervisor, log } = await prepareForRest(wanted, identity, report);
  const asked = untilAsked(supervisor);
  try {
    await supervisor.upForRest();
  } catch (error) {
    log.error('The sandboxes cannot be brought to rest; they are ended', errorFields(error));
    await supervisor.down(true);
  }
  await supervisor.down();
  const { hard, problem } = await asked.down;
  report({ event: 'down', hard });
  if (problem !== undefined && !hard) process.exitCode = 1;
}

/** Makes the database anew from what is on disk, and leaves the instance down. */
async function recover(wanted: SupervisorArguments, report: Report): Promise<void> {
  const { dataDir } = wanted;
  const identity = await readIdentity(dataDir);
  if (identity === undefined)
    throw new Problem('not_found', `There is no Skerry in "${dataDir}"`, {
      reason: 'no_instance',
      hint: 'Name another directory with --data.',
    });
  const { supervisor, layout, log } = await prepareForRest(wanted, identity, report);
  await supervisor.endStale();
  const unfinished = new UnfinishedRecovery(dataDir);
  const again = await unfinished.exists();
  if (!again && !wanted.replace && (await hasDatabase(layout.serverDir)))
    throw new Problem('precondition_failed', `"${dataDir}" has a database`, {
      reason: 'database_present',
      hint: 'If it is broken, "skerry recover --replace" puts it aside and makes a new one: keys but the first, events and holds are in the old one only.',
    });
  await unfinished.begin();
  const aside = await setDatabaseAside(layout.serverDir);
  try {
    await supervisor.upForRest();
    const answer = await supervisor.recover();
    await unfinished.end();
    report({ event: 'recovered', ...answer, ...(aside === undefined ? {} : { aside }) });
  } catch (error) {
    log.error('The database was not recovered', errorFields(error));
    await supervisor.abandon();
    throw error;
  }
  const { problem } = await supervisor.down();
  report({ event: 'down', hard: false });
  if (problem !== undefined) process.exitCode = 1;
}

/** Prepares an instance that is not to answer people. */
async function prepareForRest(
  wanted: SupervisorArguments,
  identity: InstanceIdentity,
  report: Report,
): Promise<{ readonly supervisor: Supervisor; readonly layout: Layout; readonly log: Log }> {
  const { dataDir } = wanted;
  const layout = layoutOf(dataDir, identity);
  await ensureDataDir(dataDir, layout.uids.server);
  const log = logTo(join(layout.logDir, 'supervisor.log'));
  const listen = parseListen(identity.listen);
  const supervisor = makeSupervisor(layout, identity, listen, log, report);
  await makeRunDirs(layout, identity);
  await writeConfigFiles({
    layout,
    identity,
    secrets: await ensureSecrets(dataDir),
    artifacts: await readArtifacts(wanted.artifactsFile),
    listen,
    allowEgress: [],
    // Settings that cannot be read must not keep the sandboxes from coming to rest.
    settings: {},
    exportKeys: await ensureExportKeys(dataDir),
  });
  return { supervisor, layout, log };
}

function makeSupervisor(
  layout: Layout,
  identity: InstanceIdentity,
  listen: ListenAddress,
  log: Log,
  report: Report,
): Supervisor {
  return new Supervisor({
    layout,
    instance: identity.id,
    url: localUrl(listen),
    checkout,
    node: process.execPath,
    log,
    report,
  });
}

/** The first signal rests everything, the second ends it hard. */
function untilAsked(supervisor: Supervisor): {
  readonly first: Promise<void>;
  readonly down: Promise<Awaited<ReturnType<Supervisor['down']>>>;
} {
  const down = Promise.withResolvers<Awaited<ReturnType<Supervisor['down']>>>();
  const first = Promise.withResolvers<void>();
  let times = 0;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => {
      times++;
      first.resolve();
      supervisor.down(times > 1).then(down.resolve, down.reject);
    });
  supervisor.onDown((answer) => {
    answer.then(down.resolve, down.reject);
  });
  return { first: first.promise, down: down.promise };
}

/** The unprivileged programs see the clone through a bind mount, which keeps the modes of the clone itself. */
async function refuseHiddenCheckout(): Promise<void> {
  const { mode } = await stat(checkout);
  const source = await stat(join(checkout, 'apps/server/src/main.ts'));
  if ((mode & 0o5) === 0o5 && (source.mode & 0o4) === 0o4) return;
  throw new Problem('precondition_failed', `Other users cannot read this clone, "${checkout}"`, {
    reason: 'checkout_hidden',
    hint: `Run "chmod -R o+rX ${checkout}": the unprivileged programs of Skerry run from it. The folders above it may stay closed.`,
  });
}

function logTo(file: string): Log {
  return createLog('supervisor', 'info', (line) => {
    try {
      appendFileSync(file, line, { mode: 0o600 });
    } catch {
      // A full disk must not end the supervisor.
    }
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function argumentAfter(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

await main();
// An open control connection must not keep an instance that is down alive; it gets its answer first.
setTimeout(() => process.exit(), 200).unref();
