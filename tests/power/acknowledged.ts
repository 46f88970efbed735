/** Works on an instance from several sides at once, notes what was acknowledged, and looks later whether all of it is there. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Instance } from '../e2e/instance.ts';

/** What one sandbox must still be, as far as Skerry or the kernel inside has said so. */
interface Promised {
  readonly id: string;
  /** Files and their content: synced inside, or written before a rest that was acknowledged. */
  readonly files: Map<string, string>;
  state: 'alive' | 'paused' | 'deleted';
  /** What its memory holds, and no file; only while it is paused. */
  memory?: string;
}

/** What one snapshot must still hold. */
interface Saved {
  readonly id: string;
  readonly files: ReadonlyMap<string, string>;
}

const workers = 3;
/** A tmpfs: what lies there is memory of the sandbox. */
const inMemory = '/dev/shm/token';

export class Acknowledged {
  readonly #random: () => number;
  readonly #promised = new Map<string, Promised>();
  readonly #saved = new Map<string, Saved>();
  #open = false;
  #acknowledgements = 0;
  #loose = 0;

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
    const count = (state: Promised['state']): number => all.filter((promised) => promised.state === state).length;
    const files = all.reduce((sum, promised) => sum + promised.files.size, 0);
    return `sandboxes: ${count('alive')} alive, ${count('paused')} paused, ${count('deleted')} deleted; ${this.#saved.size} snapshots; ${files} files`;
  }

  /** Fails when something acknowledged is not there. All but a few sandboxes, and all snapshots, are deleted after it. */
  async check(skerry: Instance): Promise<void> {
    const all = [...this.#promised.values()];
    for (const [index, promised] of all.entries()) {
      await checkSandbox(skerry, promised);
      if (promised.state === 'deleted' || index >= all.length - 2) continue;
      await skerry.remove(promised.id);
      this.#promised.set(promised.id, { id: promised.id, files: new Map(), state: 'deleted' });
    }
    for (const saved of this.#saved.values()) await checkSnapshot(skerry, saved);
    this.#saved.clear();
    await leavesNoGarbage(skerry);
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

  /** Notes what was acknowledged, unless the power has gone since it was asked for. */
  #note(note: () => void): void {
    if (!this.#open) throw new Error('The power is gone');
    note();
    this.#acknowledgements++;
  }

  /** One sandbox: made, written to, brought to rest or saved in one of the ways that there are; sometimes deleted. */
  async #life(skerry: Instance): Promise<void> {
    const { id } = await skerry.create();
    const promised: Promised = { id, files: new Map(), state: 'alive' };
    this.#note(() => this.#promised.set(id, promised));
    for (let n = 0; n < 1 + this.#random() * 2; n++) {
      const [path, content] = [`/home/user/synced-${n}`, this.#content()];
      await skerry.sh(id, writeSynced(path, content));
      this.#note(() => promised.files.set(path, content));
    }
    const drawn = this.#random();
    if (drawn < 0.3) await this.#stop(skerry, promised);
    else if (drawn < 0.7) await this.#pause(skerry, promised);
    else if (drawn < 0.9) await this.#snapshot(skerry, promised);
    else await this.#fork(skerry, promised);
    if (this.#random() < 0.3) await this.#delete(skerry, promised);
  }

  async #stop(skerry: Instance, promised: Promised): Promise<void> {
    const [path, content] = await this.#writeLoose(skerry, promised.id);
    await skerry.change(promised.id, 'stop');
    this.#note(() => promised.files.set(path, content));
  }

  /** Pauses, goes on and pauses again: the first point is given up for the second. */
  async #pause(skerry: Instance, promised: Promised): Promise<void> {
    for (let times = this.#random() < 0.5 ? 2 : 1; times > 0; times--) {
      const memory = randomBytes(8).toString('hex');
      const [path, content] = await this.#writeLoose(skerry, promised.id);
      await skerry.sh(promised.id, `printf %s ${memory} > ${inMemory}`);
      await skerry.change(promised.id, 'pause');
      this.#note(() => {
        promised.files.set(path, content);
        Object.assign(promised, { state: 'paused', memory });
      });
      if (times === 1) return;
      // From here on its memory is that of a running one, which nobody promised.
      promised.state = 'alive';
      delete promised.memory;
      await skerry.change(promised.id, 'resume');
    }
  }

  async #snapshot(skerry: Instance, promised: Promised): Promise<void> {
    const [path, content] = await this.#writeLoose(skerry, promised.id);
    const kind = this.#random() < 0.5 ? 'disk' : 'memory';
    const { status, body } = await skerry.api('POST', `/v1/sandboxes/${promised.id}/snapshots`, { kind });
    assert.equal(status, 201, JSON.stringify(body));
    const id = String(body['id']);
    this.#note(() => this.#saved.set(id, { id, files: new Map([...promised.files, [path, content]]) }));
  }

  async #fork(skerry: Instance, promised: Promised): Promise<void> {
    const { status, body } = await skerry.api('POST', `/v1/sandboxes/${promised.id}/fork`, { count: 2 });
    assert.ok(status < 300, JSON.stringify(body));
    this.#note(() => {
      for (const { id } of body['items'] as { id: string }[])
        this.#promised.set(id, { id, files: new Map(promised.files), state: 'alive' });
    });
  }

  async #delete(skerry: Instance, promised: Promised): Promise<void> {
    this.#promised.delete(promised.id);
    await skerry.remove(promised.id);
    this.#note(() => this.#promised.set(promised.id, { id: promised.id, files: new Map(), state: 'deleted' }));
  }

  /** Writes what only a rest, or a snapshot, makes durable. */
  async #writeLoose(skerry: Instance, id: string): Promise<[path: string, content: string]> {
    const [path, content] = [`/home/user/loose-${++this.#loose}`, this.#content()];
    await skerry.sh(id, `printf %s ${content} > ${path}`);
    return [path, content];
  }

  #content(): string {
    return randomBytes(1 + Math.floor(this.#random() * 4000)).toString('hex');
  }
}

/**
 * The record of a boot is not synced, for no boot outlives the power: one that had been removed may be back, until garbage of a minute's age is removed. Nothing
 * else may be: neither a disk nor a snapshot, nor anything in the kernel.
 */
async function leavesNoGarbage(skerry: Instance): Promise<void> {
  const { body } = await skerry.api('GET', '/v1/garbage');
  const items = body['items'] as { kind: string }[];
  assert.deepEqual(
    items.filter(({ kind }) => kind !== 'boot'),
    [],
  );
  await skerry.api('POST', '/v1/garbage/collect', { minAgeMs: 0 });
  assert.deepEqual((await skerry.api('GET', '/v1/garbage')).body['items'], []);
}

async function checkSandbox(skerry: Instance, promised: Promised): Promise<void> {
  const { status, body } = await skerry.api('GET', `/v1/sandboxes/${promised.id}`);
  if (promised.state === 'deleted') {
    assert.ok(status === 404 || body['status'] === 'deleted', `${promised.id} was deleted: ${JSON.stringify(body)}`);
    return;
  }
  assert.equal(status, 200, `${promised.id}: ${JSON.stringify(body)}`);
  const settled = await skerry.until(promised.id, ['running', 'stopped', 'paused']);
  if (promised.state === 'paused') {
    assert.equal(settled.status, 'paused', JSON.stringify(settled));
    const resumed = await skerry.change(promised.id, 'resume');
    assert.equal(resumed.resume?.from, 'memory', JSON.stringify(resumed.resume));
    assert.equal(await skerry.sh(promised.id, `cat ${inMemory}`), promised.memory);
    // From now on it is one that runs.
    promised.state = 'alive';
    delete promised.memory;
  } else if (settled.status !== 'running') await skerry.change(promised.id, 'start');
  await checkFiles(skerry, promised.id, promised.files);
}

async function checkSnapshot(skerry: Instance, { id, files }: Saved): Promise<void> {
  const { status, body } = await skerry.api('GET', `/v1/snapshots/${id}`);
  assert.equal(status, 200, `${id}: ${JSON.stringify(body)}`);
  assert.equal(body['status'], 'ready');
  const verified = await skerry.api('POST', `/v1/snapshots/${id}/verify`);
  assert.ok(verified.status < 300, `${id}: ${JSON.stringify(verified.body)}`);
  const copy = await skerry.create({ from: id });
  await checkFiles(skerry, copy.id, files);
  await skerry.remove(copy.id);
  assert.ok((await skerry.api('DELETE', `/v1/snapshots/${id}`)).status < 300);
}

async function checkFiles(skerry: Instance, sandbox: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [path, content] of files)
    assert.equal(await skerry.sh(sandbox, `cat ${path}`), content, `${path} of ${sandbox}`);
}

/** A command that writes a file and returns once it and its directory are synced. */
function writeSynced(path: string, content: string): string {
  return `printf %s ${content} > ${path} && sync ${path} && sync "$(dirname ${path})"`;
}
