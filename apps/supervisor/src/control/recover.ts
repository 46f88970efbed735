import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readFileIfExists, syncDirectory, writeFileAtomic } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type { RecoverAnswer } from '@skerry/protocol';

const deadlineMs = 600_000;
const databaseFiles = ['skerry.db', 'skerry.db-wal', 'skerry.db-shm'];

/** Has a server with an empty database make it anew from what the host keeps. */
export async function recoverDatabase(adminSocket: string): Promise<RecoverAnswer> {
  const { adminPaths, JsonClient } = await import('@skerry/protocol');
  using client = new JsonClient(adminSocket, 'the server');
  const [method = '', path = ''] = adminPaths.recover.split(' ');
  return (await client.call(method, path, { body: {}, signal: AbortSignal.timeout(deadlineMs) })) as RecoverAnswer;
}

export async function hasDatabase(serverDir: string): Promise<boolean> {
  return (await readdir(serverDir)).includes('skerry.db');
}

/** Puts the database aside, under a name that no other has. Gives back where it is; `undefined` when there is none. */
export async function setDatabaseAside(serverDir: string): Promise<string | undefined> {
  const found = await readdir(serverDir);
  const prefix = `aside-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
  // The log first: without its database a log means nothing, but a database without its log would look whole.
  for (const name of databaseFiles.toReversed())
    if (found.includes(name)) await rename(join(serverDir, name), join(serverDir, `${prefix}.${name}`));
  await syncDirectory(serverDir);
  return found.includes('skerry.db') ? join(serverDir, `${prefix}.skerry.db`) : undefined;
}

/** A recovery that has begun and not ended: the database may hold a part of what there is. */
export class UnfinishedRecovery {
  readonly #file: string;

  constructor(dataDir: string) {
    this.#file = join(dataDir, 'recovery-unfinished');
  }

  async begin(): Promise<void> {
    await writeFileAtomic(this.#file, `${new Date().toISOString()}\n`, 0o600);
  }

  async end(): Promise<void> {
    await rm(this.#file, { force: true });
    await syncDirectory(join(this.#file, '..'));
  }

  async exists(): Promise<boolean> {
    return (await readFileIfExists(this.#file)) !== undefined;
  }
}

/** Refuses to start on a database that is not whole. `ran`: whether this instance has ever had one. Throws `data_loss`. */
export async function refuseLostDatabase(dataDir: string, serverDir: string, ran: boolean): Promise<void> {
  if (await new UnfinishedRecovery(dataDir).exists())
    throw new Problem('data_loss', `The recovery of "${dataDir}" did not come to its end`, {
      reason: 'recovery_unfinished',
      hint: `Run "skerry recover --data ${dataDir}" again.`,
    });
  if (ran && !(await hasDatabase(serverDir)))
    throw new Problem('data_loss', `The database of "${dataDir}" is gone`, {
      reason: 'database_missing',
      hint: `"skerry recover --data ${dataDir}" makes it anew from what is on disk.`,
    });
}
