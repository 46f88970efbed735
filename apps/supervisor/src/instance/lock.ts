import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Problem } from '@skerry/model';

const takenStatus = 75;

/**
 * The right to run the instance of one data directory. A small child (`flock FILE cat`) holds it and ends when its standard input does: so it is
 * free again whatever way this process ends, and nothing that this process starts can inherit it.
 */
export class InstanceLock implements AsyncDisposable {
  readonly #holder: ChildProcess;
  #released = false;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  /** Takes the lock, or throws `conflict` with reason `already_running`. `onLost` is called when it is lost while it is held. */
  static async take(file: string, onLost: () => void): Promise<InstanceLock> {
    // A second is for the holder of a supervisor that was killed this instant.
    const holder = spawn(
      'flock',
      ['--exclusive', '--wait', '1', '--conflict-exit-code', String(takenStatus), file, 'cat'],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        detached: true,
      },
    );
    holder.stdin.on('error', () => undefined);
    holder.stdin.write('held\n');
    const held = once(holder.stdout, 'data').then(() => undefined);
    const ended = new Promise<number | null>((resolve, reject) => {
      holder.once('error', reject);
      holder.once('exit', resolve);
    });
    const status = await Promise.race([held, ended]);
    if (status === takenStatus)
      throw new Problem('conflict', 'Skerry runs already in this data directory', { reason: 'already_running' });
    if (status !== undefined)
      throw new Problem('internal', `Cannot lock "${file}": flock ended with ${status ?? 'a signal'}`, {
        reason: 'lock_failed',
      });
    const lock = new InstanceLock(holder);
    holder.once('exit', () => {
      if (!lock.#released) onLost();
    });
    return lock;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    const gone =
      this.#holder.exitCode === null && this.#holder.signalCode === null ? once(this.#holder, 'exit') : undefined;
    this.#holder.stdin?.end();
    await gone;
  }
}
