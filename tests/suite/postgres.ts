import { type ChildProcess, spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runChild } from './child.ts';
import type { Suite } from './stage.ts';

const START_TRIES = 100;

export interface Postgres extends AsyncDisposable {
  readonly connectionString: string;
}

/** A throw-away Postgres cluster of an unprivileged user, on a Unix socket only. It dies with this process and leaves nothing. */
export async function startPostgres(suite: Suite): Promise<Postgres> {
  const binaries = globSync('/usr/lib/postgresql/*/bin/postgres').sort().at(-1);
  if (binaries === undefined)
    throw new Error('There is no Postgres in /usr/lib/postgresql: run "npm test", which installs it.');
  const bin = join(binaries, '..');
  const { uid, gid } = await postgresUser();
  // A Unix socket's path is at most 107 bytes: a short folder, whatever TMPDIR says.
  const folder = await mkdtemp('/tmp/skerry-pg-');
  await chown(folder, uid, gid);
  const data = join(folder, 'data');
  const asUser = ['--pdeathsig', 'KILL', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const initdb = [
    join(bin, 'initdb'),
    '-D',
    data,
    '-U',
    'skerry',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
    '--no-sync',
  ];
  const made = await runChild(suite, 'setpriv', [...asUser, ...initdb], { capture: true, cwd: folder });
  if (made.code !== 0) {
    await remove();
    throw new Error(`initdb ended with exit code ${made.code}: ${made.stdout}`);
  }
  const settings = [
    `unix_socket_directories=${folder}`,
    'listen_addresses=',
    'fsync=off',
    'full_page_writes=off',
    'max_connections=60',
  ];
  const server = spawn(
    'setpriv',
    [...asUser, join(bin, 'postgres'), '-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'], detached: true },
  );
  const [stop, started] = [
    () => stopServer(server).then(remove),
    await isReady(suite, join(bin, 'pg_isready'), folder, server),
  ];
  if (!started) {
    await stop();
    throw new Error('Postgres did not start within 10 s.');
  }
  return {
    connectionString: `postgresql://skerry@${encodeURIComponent(folder)}/postgres`,
    [Symbol.asyncDispose]: stop,
  };
}

/** Debian's `postgres` user, or `nobody`: initdb refuses root and users without a name. */
async function postgresUser(): Promise<{ uid: number; gid: number }> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const fields = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
  return { uid: Number(fields?.[2] ?? 65534), gid: Number(fields?.[3] ?? 65534) };
}

async function isReady(suite: Suite, pgIsReady: string, folder: string, server: ChildProcess): Promise<boolean> {
  for (let tries = 0; tries < START_TRIES && server.exitCode === null; tries++) {
    const asked = await runChild(suite, pgIsReady, ['-q', '-h', folder], { capture: true, cwd: folder });
    if (asked.code === 0) return true;
    await sleep(100);
  }
  return false;
}

async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
  server.kill('SIGQUIT');
  const late = setTimeout(() => server.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(late);
}
