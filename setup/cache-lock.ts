import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { clearScratch, makeOpenFolder } from './cache.ts';
import { SetupFailure } from './setup-failure.ts';

export interface CacheLock extends AsyncDisposable {
  /** True when another run held the lock first: what was missing a moment ago may be there now. */
  readonly waited: boolean;
}

/**
 * One writer for the whole cache. The kernel's flock is held by a small child whose stdin is our pipe, so the lock goes with this process,
 * however it ends. Scratch left by a killed run is removed.
 */
export async function lockCache(root: string, onWait: () => void): Promise<CacheLock> {
  await makeOpenFolder(root);
  const file = join(root, '.lock');
  const child = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let waited = false;
  const patience = setTimeout(() => {
    waited = true;
    onWait();
  }, 200);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('error', reject);
      child.once('close', (code) =>
        reject(
          new SetupFailure(
            `Cannot lock "${file}": flock ended with exit code ${code}.`,
            'Run set-up as root, or point SKERRY_CACHE at a folder that you may write to.',
          ),
        ),
      );
    });
    await clearScratch(root);
  } catch (cause) {
    child.stdin.end();
    throw cause;
  } finally {
    clearTimeout(patience);
  }
  return {
    waited,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}
