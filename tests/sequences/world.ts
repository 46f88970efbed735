/** Drives a real Skerry as the model says, kills parts of it at random instants, and compares. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Instance, Program } from '../e2e/instance.ts';
import { empty, mismatch, type Model, type ModelSandbox } from './model.ts';

/** What is killed: a program of Skerry, all of them, or the kernels of the sandboxes, which take what is in memory with them. */
export const victims = ['none', 'host', 'server', 'gateway', 'everything', 'sandboxes'] as const;
export type Victim = (typeof victims)[number];

export interface Strike {
  readonly victim: Victim;
  /** When it comes, in `ms` after the call began. */
  readonly afterMs: number;
}

const settleMs = 90_000;

/** Keeps words in memory and gives them back; started once per boot. */
const keeper = `import http.server
words = []
class Keeper(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != '/': words.append(self.path[1:])
        body = '\\n'.join(words).encode()
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer(('127.0.0.1', 9100), Keeper).serve_forever()`;

export class World {
  readonly #skerry: Instance;
  readonly model: Model = { sandboxes: [], snapshots: [] };
  /** What was done, for the message of a failure. */
  readonly story: string[] = [];

  constructor(skerry: Instance) {
    this.#skerry = skerry;
  }

  async create(strike: Strike): Promise<void> {
    const name = `seq-${randomUUID().slice(0, 8)}`;
    await this.#call(strike, () => this.#create({ name }), `create ${name}`);
    const { id } = await this.#named(name);
    this.model.sandboxes.push({ id, wanted: 'running', content: empty });
  }

  /** Appends a line to a file, synced. */
  async write(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    await this.#wake(sandbox);
    const text = randomUUID();
    const done = await this.#struck(strike, () => this.#exec(sandbox.id, `echo ${text} >> ~/lines && sync ~/lines`));
    this.story.push(`write ${sandbox.id} ${text} ${done ? 'acknowledged' : 'cut off'} (${strike.victim})`);
    sandbox.content = { ...sandbox.content, lines: [...sandbox.content.lines, { text, maybe: !done }] };
    await this.#settle(sandbox, strike);
  }

  /** Gives a word to the process that keeps words, and starts it when there is none. */
  async remember(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    await this.#wake(sandbox);
    if (sandbox.content.words === undefined) {
      const start = `curl -sf localhost:9100/ >/dev/null && exit 0; printf '%s' "$KEEPER" > ~/keeper.py; setsid python3 ~/keeper.py >/dev/null 2>&1 < /dev/null & for i in $(seq 100); do curl -sf localhost:9100/ >/dev/null && exit 0; sleep 0.1; done; exit 1`;
      assert.ok(await this.#exec(sandbox.id, start, { KEEPER: keeper }), 'the keeper does not start');
      const words = await this.#words(sandbox.id);
      sandbox.content = { ...sandbox.content, words: (words ?? []).map((text) => ({ text, maybe: false })) };
    }
    const text = randomUUID();
    const done = await this.#struck(strike, () => this.#exec(sandbox.id, `curl -sf localhost:9100/${text}`));
    this.story.push(`remember ${sandbox.id} ${text} ${done ? 'acknowledged' : 'cut off'} (${strike.victim})`);
    sandbox.content = { ...sandbox.content, words: [...(sandbox.content.words ?? []), { text, maybe: !done }] };
    await this.#settle(sandbox, strike);
  }

  async pause(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    await this.#wake(sandbox);
    await this.#change(sandbox, 'pause', strike);
    sandbox.wanted = 'paused';
    await this.#settle(sandbox, strike);
  }

  async resume(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    await this.#change(sandbox, sandbox.wanted === 'paused' ? 'resume' : 'start', strike);
    sandbox.wanted = 'running';
    await this.#settle(sandbox, strike);
  }

  async stop(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    await this.#change(sandbox, 'stop', strike);
    sandbox.wanted = 'stopped';
    sandbox.content = { ...sandbox.content, words: undefined };
    await this.#settle(sandbox, strike);
  }

  async snapshot(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    const name = `snap-${randomUUID().slice(0, 8)}`;
    // With a strike in the middle its kind is not known: what runs then may be gone.
    const before = sandbox.content;
    await this.#call(
      strike,
      async () => this.#api('POST', `/v1/sandboxes/${sandbox.id}/snapshots`, { name }),
      `snapshot ${sandbox.id} ${name}`,
      'name_taken',
    );
    const found = await this.#skerry.api('GET', `/v1/snapshots?name=${name}`);
    const [item] = found.body['items'] as { id: string; kind: string; status: string }[];
    assert.ok(item !== undefined && item.status === 'ready', `snapshot ${name}: ${JSON.stringify(found.body)}`);
    const sure = item.kind === 'memory' && !this.#isFatal(strike);
    this.model.snapshots.push({ id: item.id, content: { ...before, words: sure ? before.words : undefined } });
    await this.#settle(sandbox, strike);
  }

  async from(snapshot: Model['snapshots'][number], strike: Strike): Promise<void> {
    const name = `seq-${randomUUID().slice(0, 8)}`;
    await this.#call(strike, () => this.#create({ name, from: snapshot.id }), `create ${name} from ${snapshot.id}`);
    const { id } = await this.#named(name);
    const sandbox: ModelSandbox = { id, wanted: 'running', content: snapshot.content };
    this.model.sandboxes.push(sandbox);
    await this.#settle(sandbox, strike);
  }

  async fork(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    await this.#wake(sandbox);
    const name = `seq-${randomUUID().slice(0, 8)}`;
    const before = sandbox.content;
    await this.#call(
      strike,
      () => this.#api('POST', `/v1/sandboxes/${sandbox.id}/fork`, { names: [name] }),
      `fork ${sandbox.id} ${name}`,
      'name_taken',
    );
    const { id } = await this.#named(name);
    const forked: ModelSandbox = { id, wanted: 'running', content: before };
    this.model.sandboxes.push(forked);
    await this.#settle(sandbox, strike);
    await this.#settle(forked, strike);
  }

  async rollback(sandbox: ModelSandbox, snapshot: Model['snapshots'][number], strike: Strike): Promise<void> {
    await this.#call(
      strike,
      () => this.#api('POST', `/v1/sandboxes/${sandbox.id}/rollback`, { snapshot: snapshot.id }),
      `rollback ${sandbox.id} ${snapshot.id}`,
    );
    sandbox.wanted = 'running';
    sandbox.content = snapshot.content;
    await this.#settle(sandbox, strike);
  }

  async remove(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    await this.#call(
      strike,
      () => this.#api('DELETE', `/v1/sandboxes/${sandbox.id}`),
      `delete ${sandbox.id}`,
      'sandbox_not_found',
    );
    this.model.sandboxes.splice(this.model.sandboxes.indexOf(sandbox), 1);
  }

  /** Compares every sandbox with the model; wakes each, one after another. */
  async check(): Promise<void> {
    for (const sandbox of this.model.sandboxes) {
      const { status } = await this.#skerry.until(sandbox.id, ['running', 'paused', 'stopped'], settleMs);
      assert.equal(status, sandbox.wanted, `${sandbox.id} is ${status}`);
      await this.#wake(sandbox);
      const text = await this.#skerry.sh(sandbox.id, 'cat ~/lines 2>/dev/null || true');
      const wrong = mismatch(sandbox.content.lines, text.split('\n').filter(Boolean));
      assert.equal(wrong, undefined, `disk of ${sandbox.id}`);
      const { words } = sandbox.content;
      if (words === undefined) continue;
      const found = await this.#words(sandbox.id);
      assert.ok(
        found !== undefined,
        `the process of ${sandbox.id} is gone: ${JSON.stringify(await this.#skerry.get(sandbox.id))}`,
      );
      assert.equal(mismatch(words, found), undefined, `memory of ${sandbox.id}`);
    }
  }

  /** Deletes everything; afterwards nothing is left that anybody knows. */
  async end(): Promise<void> {
    for (const { id } of this.model.sandboxes) await this.#skerry.remove(id);
    for (const { id } of this.model.snapshots)
      assert.ok((await this.#skerry.api('DELETE', `/v1/snapshots/${id}`)).status < 300, `snapshot ${id}`);
    const { body } = await this.#skerry.api('GET', '/v1/sandboxes');
    assert.deepEqual(body['items'], [], 'sandboxes nobody asked for');
    const snapshots = await this.#skerry.api('GET', '/v1/snapshots?all=true');
    assert.deepEqual(snapshots.body['items'], [], 'snapshots nobody asked for');
    // What a killed daemon left is removed by the next one, a moment later.
    for (let tries = 0; ; tries++) {
      const garbage = (await this.#skerry.api('GET', '/v1/garbage')).body['items'] as unknown[];
      if (garbage.length === 0) break;
      assert.ok(tries < 100, JSON.stringify(garbage));
      await sleep(200);
    }
    assert.deepEqual(await this.#skerry.enginePids('sandbox'), []);
  }

  /** Deletes what a failed sequence left, so that the next one (a shorter one, when it is being shrunk) begins clean. */
  async clear(): Promise<void> {
    await this.#skerry.untilReady(settleMs);
    const sandboxes = (await this.#skerry.api('GET', '/v1/sandboxes')).body['items'] as { id: string }[];
    for (const { id } of sandboxes) await this.#skerry.api('DELETE', `/v1/sandboxes/${id}`);
    const snapshots = (await this.#skerry.api('GET', '/v1/snapshots?all=true')).body['items'] as { id: string }[];
    for (const { id } of snapshots) await this.#skerry.api('DELETE', `/v1/snapshots/${id}`);
  }

  /** Runs a call under a strike and repeats it until it is answered well, as a client that never gives up does. */
  async #call(strike: Strike, work: () => Promise<Answer>, what: string, doneBefore?: string): Promise<void> {
    let answer = await this.#answerStruck(strike, work);
    const end = Date.now() + settleMs;
    while (answer === undefined || answer.status >= 300 || answer.status === 202) {
      const reason = answer?.body['reason'];
      if (doneBefore !== undefined && reason === doneBefore) break;
      if (doneBefore === undefined && reason === 'name_taken') break;
      const passing = answer === undefined || answer.status === 202 || answer.body['retryable'] === true;
      assert.ok(passing && Date.now() < end, `${what}: ${JSON.stringify(answer)}`);
      await sleep(200);
      answer = await work().catch(() => undefined);
    }
    this.story.push(`${what} (${strike.victim} after ${strike.afterMs} ms)`);
  }

  async #change(sandbox: ModelSandbox, verb: string, strike: Strike): Promise<void> {
    await this.#call(
      strike,
      () => this.#api('POST', `/v1/sandboxes/${sandbox.id}/${verb}`, {}),
      `${verb} ${sandbox.id}`,
    );
  }

  async #create(body: object): Promise<Answer> {
    return this.#api('POST', '/v1/sandboxes', { memoryMiB: 256, rest: { afterMs: null }, ...body });
  }

  async #named(name: string): Promise<{ id: string }> {
    const { body } = await this.#skerry.api('GET', `/v1/sandboxes?name=${name}`);
    const [item] = body['items'] as { id: string }[];
    assert.ok(item !== undefined, `"${name}" was acknowledged and is not there`);
    await this.#skerry.until(item.id, ['running'], settleMs);
    return item;
  }

  async #wake(sandbox: ModelSandbox): Promise<void> {
    if (sandbox.wanted !== 'running') {
      await this.resume(sandbox, { victim: 'none', afterMs: 0 });
    }
    await this.#skerry.until(sandbox.id, ['running'], settleMs);
  }

  /** After a strike: everything answers again, and what died with a sandbox's kernel is known to be lost everywhere that ran. */
  async #settle(sandbox: ModelSandbox, strike: Strike): Promise<void> {
    if (this.#isFatal(strike)) {
      for (const other of this.model.sandboxes)
        if (other.wanted === 'running') other.content = { ...other.content, words: undefined };
      sandbox.content = { ...sandbox.content, words: undefined };
      // Until Skerry has noticed, what died looks as if it ran.
      for (const { id, wanted } of this.model.sandboxes)
        if (wanted === 'running')
          for (const end = Date.now() + settleMs; !(await this.#exec(id, 'true').catch(() => false)); await sleep(200))
            assert.ok(Date.now() < end, `${id} does not come back: ${JSON.stringify(await this.#skerry.get(id))}`);
    }
  }

  /** Kernels of sandboxes die with this strike, and memory that was not saved with them. */
  #isFatal(strike: Strike): boolean {
    return strike.victim === 'sandboxes';
  }

  async #words(id: string): Promise<string[] | undefined> {
    const answer = await this.#skerry.exec(id, 'curl -sf localhost:9100/');
    return answer.exitCode === 0 ? answer.stdout.split('\n').filter(Boolean) : undefined;
  }

  /** `true` when the command was acknowledged with exit code 0. */
  async #exec(id: string, command: string, env: Readonly<Record<string, string>> = {}): Promise<boolean> {
    const answer = await this.#api('POST', `/v1/sandboxes/${id}/exec`, { command, env });
    return answer.status === 200 && answer.body['exitCode'] === 0;
  }

  async #struck(strike: Strike, work: () => Promise<boolean>): Promise<boolean> {
    const [done] = await Promise.all([work().catch(() => false), this.#strike(strike)]);
    return done;
  }

  async #answerStruck(strike: Strike, work: () => Promise<Answer>): Promise<Answer | undefined> {
    const [answer] = await Promise.all([work().catch(() => undefined), this.#strike(strike)]);
    return answer;
  }

  #api(method: string, path: string, body?: unknown): Promise<Answer> {
    return this.#skerry.api(method, path, body);
  }

  async #strike({ victim, afterMs }: Strike): Promise<void> {
    if (victim === 'none') return;
    await sleep(afterMs);
    if (victim === 'sandboxes') {
      for (const pid of await this.#skerry.enginePids('sandbox')) kill(pid);
    } else {
      const programs: Program[] =
        victim === 'everything' ? ['supervisor', 'host', 'server', 'gateway', 'egress'] : [victim];
      for (const program of programs) for (const pid of await this.#skerry.pids(program)) kill(pid);
      if (victim === 'everything') await this.#skerry.up();
    }
    await this.#skerry.untilReady(settleMs);
  }
}

/** A process that has just ended by itself is fine. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
