/** What random sequences are compared with: what was acknowledged of each sandbox and snapshot, and nothing of how it is done. */
import assert from 'node:assert/strict';
import type { SimulatedBackend } from '@skerry/backend/simulated';
import type { BootId } from '@skerry/model';
import type { Sandbox } from '@skerry/protocol';
import type { Answer, TestInstance } from './instance.ts';

/** What can go wrong during a call. */
export type Trouble = 'none' | 'restart' | 'before' | 'after' | 'full' | 'noRoom' | 'damaged';
type Rest = 'running' | 'paused' | 'stopped' | 'failed';

/** Contents of a sandbox or snapshot. `memory` is `undefined` where there is none, or it is empty. */
interface Contents {
  readonly file: string | undefined;
  readonly memory: string | undefined;
}

export interface ModelSnapshot extends Contents {
  readonly id: string;
}

export class ModelSandbox {
  readonly id: string;
  status: Rest;
  file: string | undefined;
  memory: string | undefined;
  /** Ends that nobody asked for since it was last started. */
  crashes = 0;

  constructor(id: string, status: Rest, contents: Contents) {
    this.id = id;
    this.status = status;
    this.file = contents.file;
    this.memory = contents.memory;
  }

  write(backend: SimulatedBackend, value: string): void {
    if (this.status !== 'running') return;
    const bootId = bootOf(backend, this.id);
    backend.write(bootId, 'file', '/f', value);
    backend.write(bootId, 'memory', 'a', value);
    this.file = value;
    this.memory = value;
  }

  paused({ status, body }: Answer, withMemory: boolean): void {
    if (status !== 200) {
      assert.ok(this.status !== 'running' || status === 507, JSON.stringify(body));
      return;
    }
    assert.equal(body['status'], 'paused');
    if (this.status === 'running' && !withMemory) this.memory = undefined;
    this.status = 'paused';
  }

  started({ status, body }: Answer, trouble: Trouble): void {
    // A start of what runs changes nothing, and counts for nothing.
    if (this.status === 'running') return assert.equal(status, 200, JSON.stringify(body));
    this.crashes = 0;
    if (trouble === 'damaged') this.memory = undefined;
    this.#came(status === 200, trouble, body);
  }

  rolledBack({ status, body }: Answer, to: ModelSnapshot, trouble: Trouble): void {
    this.crashes = 0;
    this.file = to.file;
    this.memory = trouble === 'damaged' ? undefined : to.memory;
    this.#came(status === 200, trouble, body);
  }

  stopped({ status, body }: Answer): void {
    assert.equal(status, 200, JSON.stringify(body));
    this.status = 'stopped';
    this.memory = undefined;
  }

  crash(backend: SimulatedBackend): void {
    if (this.status !== 'running') return;
    backend.endSpontaneously(bootOf(backend, this.id), 'killed');
    this.lostBoot();
  }

  /** Its boot ended, if it had one: what was in memory is gone. */
  lostBoot(): void {
    if (this.status !== 'running') return;
    this.memory = undefined;
    this.crashes++;
  }

  #came(ran: boolean, trouble: Trouble, body: unknown): void {
    assert.ok(ran || trouble === 'noRoom', JSON.stringify(body));
    this.status = ran ? 'running' : 'failed';
  }
}

export class World {
  readonly sandboxes: ModelSandbox[] = [];
  readonly snapshots: ModelSnapshot[] = [];
  #values = 0;

  nextValue(): string {
    return `v${this.#values++}`;
  }

  /** A sandbox that was asked for, from a snapshot or not. One that found no room is there too, as failed. */
  async create(skerry: TestInstance, answer: Answer, from: ModelSnapshot | undefined, trouble: Trouble): Promise<void> {
    const { status, body } = answer;
    const contents = trouble === 'damaged' ? { file: from?.file, memory: undefined } : from;
    const kept = contents ?? { file: undefined, memory: undefined };
    if (status === 201) {
      this.sandboxes.push(new ModelSandbox(String(body['id']), 'running', kept));
      return;
    }
    assert.ok(trouble === 'noRoom', JSON.stringify(answer));
    const known = new Set(this.sandboxes.map(({ id }) => id));
    const made = (await listed(skerry)).filter(({ id }) => !known.has(id));
    assert.equal(made.length, 1, JSON.stringify(made));
    for (const { id } of made) this.sandboxes.push(new ModelSandbox(id, 'failed', kept));
  }

  forked(parent: ModelSandbox, answer: Answer, trouble: Trouble): void {
    if (answer.status !== 201) return assert.equal(trouble, 'full', JSON.stringify(answer));
    const { file } = parent;
    const memory = trouble === 'damaged' ? undefined : parent.memory;
    for (const { id, status } of answer.body['items'] as Sandbox[]) {
      assert.ok(status === 'running' || (status === 'failed' && trouble === 'noRoom'), `${id} is ${status}`);
      this.sandboxes.push(new ModelSandbox(id, status, { file, memory }));
    }
  }

  snapshotted(of: ModelSandbox, answer: Answer, trouble: Trouble): void {
    const { status, body } = answer;
    if (status !== 201) return assert.equal(trouble, 'full', JSON.stringify(answer));
    const memory = body['kind'] === 'memory';
    assert.ok(memory || of.memory === undefined, 'memory that was there is not in the snapshot');
    this.snapshots.push({ id: String(body['id']), file: of.file, memory: memory ? of.memory : undefined });
  }

  deleted(one: ModelSandbox, { status, body }: Answer): void {
    assert.deepEqual([status, body['status']], [200, 'deleted'], JSON.stringify(body));
    this.sandboxes.splice(this.sandboxes.indexOf(one), 1);
  }

  dropped(one: ModelSnapshot, { status, body }: Answer): void {
    if (status === 409) return assert.equal(body['reason'], 'snapshot_in_use', JSON.stringify(body));
    assert.ok(status === 200 || status === 202 || status === 404, JSON.stringify(body));
    this.snapshots.splice(this.snapshots.indexOf(one), 1);
  }
}

function bootOf(backend: SimulatedBackend, sandbox: string): BootId {
  const running = backend.contents.boots.filter((one) => one.sandboxId === sandbox && one.state === 'running');
  assert.equal(running.length, 1, `${sandbox} has ${running.length} boots that run`);
  return running[0]?.bootId as BootId;
}

async function listed(skerry: TestInstance): Promise<Sandbox[]> {
  const { body } = await skerry.api('GET', '/v1/sandboxes?limit=200');
  return body['items'] as Sandbox[];
}

/** Compares the settled world with the model. */
export async function checkWorld(skerry: TestInstance, world: World): Promise<void> {
  const shown = new Map((await listed(skerry)).map((one) => [one.id as string, one]));
  assert.deepEqual([...shown.keys()].toSorted(), world.sandboxes.map(({ id }) => id).toSorted());
  for (const one of world.sandboxes) {
    const { status, reason } = shown.get(one.id) as Sandbox;
    if (status === 'stopped' && reason === 'crash_loop' && one.crashes > 3) one.status = 'stopped';
    assert.equal(status, one.status, `${one.id} (${reason})`);
    if (one.status !== 'running') continue;
    const { files, memory } = skerry.backend.read(bootOf(skerry.backend, one.id));
    assert.deepEqual([files.get('/f'), memory.get('a')], [one.file, one.memory], `contents of ${one.id}`);
  }
  await checkOwners(skerry, world);
}

/** Everything on the host belongs to somebody, and everything that belongs to somebody is there. */
async function checkOwners(skerry: TestInstance, world: World): Promise<void> {
  const { disks, boots, snapshots } = skerry.backend.contents;
  const records = await skerry.store.sandboxes.listAllLive();
  const sorted = (ids: readonly (string | null)[]): string[] => ids.filter((id) => id !== null).toSorted();
  assert.deepEqual(sorted(disks.map(({ diskId }) => diskId)), sorted(records.map(({ diskId }) => diskId)), 'disks');
  assert.deepEqual(sorted(boots.map(({ bootId }) => bootId)), sorted(records.map(({ bootId }) => bootId)), 'boots');
  const rows = await skerry.store.snapshots.listAll();
  assert.deepEqual(
    sorted(snapshots.map(({ snapshotId }) => snapshotId)),
    sorted(rows.map(({ id }) => id)),
    'snapshots',
  );
  const asked = rows.filter(({ origin }) => origin === 'user').map(({ id }) => id);
  assert.deepEqual(sorted(asked), sorted(world.snapshots.map(({ id }) => id)), 'snapshots that were asked for');
  const needed = new Set(records.flatMap(({ pointId, oldPointId }) => [pointId, oldPointId]));
  for (const { id, origin, status } of rows) {
    assert.equal(status, 'ready');
    assert.ok(origin === 'user' || needed.has(id), `nobody needs ${origin} ${id}`);
  }
}
