/** Works on an instance from several sides at once, notes what was acknowledged, and looks later whether all of it is there. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Instance } from '../e2e/instance.ts';

/** What one sandbox must still be, as far as Skerry or the kernel inside has said so. */
interface Promised {
  readonly id: string;
  /** Files and their content: synced inside, or written before a stop that was acknowledged. */
  readonly files: Map<string, string>;
  state: 'alive' | 'deleted';
}

const workers = 3;

export class Acknowledged {
  readonly #random: () => number;
  readonly #promised = new Map<string, Promised>();
  #open = false;
  #acknowledgements = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Works until `close`; ends when the calls under way have ended, however they did. */
  async work(skerry: Instance): Promise<void> {
    this.#open = true;
    await Promise.all(Array.from({ length: workers }, () => this.#worker(skerry)));
  }

  /** From now on nothing is acknowledged any more, and nothing new is asked for. */
  close(): void {
    this.#open = false;
  }

  summary(): string {
    const all = [...this.#promised.values()];
    const files = all.reduce((sum, promised) => sum + promised.files.size, 0);
    return `${all.length} sandboxes, ${all.filter((promised) => promised.state === 'deleted').length} of them deleted, ${files} files`;
  }

  /** Fails when something acknowledged is not there. All but a few sandboxes are deleted after it. */
  async check(skerry: Instance): Promise<void> {
    const all = [...this.#promised.values()];
    for (const [index, promised] of all.entries()) {
      const { status, body } = await skerry.api('GET', `/v1/sandboxes/${promised.id}`);
      if (promised.state === 'deleted') {
        assert.ok(
          status === 404 || body['status'] === 'deleted',
          `${promised.id} was deleted: ${JSON.stringify(body)}`,
        );
        continue;
      }
      assert.equal(status, 200, `${promised.id}: ${JSON.stringify(body)}`);
      const settled = await skerry.until(promised.id, ['running', 'stopped']);
      if (settled.status === 'stopped') await skerry.change(promised.id, 'start');
      for (const [path, content] of promised.files)
        assert.equal(await skerry.sh(promised.id, `cat ${path}`), content, `${path} of ${promised.id}`);
      if (index >= all.length - 2) continue;
      await skerry.remove(promised.id);
      this.#promised.set(promised.id, { id: promised.id, files: new Map(), state: 'deleted' });
    }
  }

  /** Resolves when something more has been acknowledged than at the call. */
  async progress(): Promise<void> {
    const before = this.#acknowledgements;
    const deadline = Date.now() + 60_000;
    while (this.#acknowledgements === before) {
      assert.ok(Date.now() < deadline, 'nothing was acknowledged for a minute');
      await sleep(20);
    }
  }

  async #worker(skerry: Instance): Promise<void> {
    while (this.#open) {
      try {
        await this.#life(skerry);
      } catch (error) {
        // After the cut a call may end in any way.
        if (this.#open) throw error;
      }
    }
  }

  /** One sandbox: made, written to, stopped; sometimes deleted. */
  async #life(skerry: Instance): Promise<void> {
    const { id } = await skerry.create();
    if (!this.#open) return;
    const promised: Promised = { id, files: new Map(), state: 'alive' };
    this.#promised.set(id, promised);
    for (let n = 0; n < 1 + this.#random() * 3; n++) {
      const [path, content] = [`/home/user/synced-${n}`, this.#content()];
      await skerry.sh(id, writeSynced(path, content));
      if (!this.#open) return;
      promised.files.set(path, content);
      this.#acknowledgements++;
    }
    const [path, content] = ['/home/user/loose', this.#content()];
    await skerry.sh(id, `printf %s ${content} > ${path}`);
    await skerry.change(id, 'stop');
    if (!this.#open) return;
    promised.files.set(path, content);
    if (this.#random() > 0.3) return;
    promised.files.clear();
    this.#promised.delete(id);
    await skerry.remove(id);
    if (!this.#open) return;
    this.#promised.set(id, { ...promised, state: 'deleted' });
  }

  #content(): string {
    return randomBytes(1 + Math.floor(this.#random() * 4000)).toString('hex');
  }
}

/** A command that writes a file and returns once it and its directory are synced. */
function writeSynced(path: string, content: string): string {
  return `printf %s ${content} > ${path} && sync ${path} && sync "$(dirname ${path})"`;
}
