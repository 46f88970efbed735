import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '@skerry/model';
import type { SandboxState } from './sandbox-state.ts';
import { readStacks, Suspensions } from './suspension.ts';

const patienceMs = 2_000;

/** A sentry that counts as the real one does: one going-on too many ends it. */
class CountingSentry implements AsyncDisposable {
  stops = 0;
  dead = false;
  delayMs = 0;
  readonly #server: Server;
  readonly state: SandboxState;
  readonly directory: string;

  private constructor(directory: string, server: Server) {
    this.directory = directory;
    this.#server = server;
    const controlSocket = join(directory, 'socket');
    this.state = { status: 'running', sandboxPid: 1, goferPid: 2, controlSocket, bundle: directory };
  }

  static async listen(): Promise<CountingSentry> {
    const directory = await mkdtemp(join(tmpdir(), 'engine-gvisor-sentry-'));
    const server = createServer((socket) =>
      socket.once('data', (data) => {
        const { method } = JSON.parse(data.toString()) as { method: string };
        void sentry.#answer(method).then((result) => socket.write(JSON.stringify({ success: true, err: '', result })));
      }),
    );
    const sentry = new CountingSentry(directory, server);
    await new Promise<void>((resolve) => server.listen(sentry.state.controlSocket, resolve));
    return sentry;
  }

  async #answer(method: string): Promise<unknown> {
    if (method === 'debug.Stacks') return stacksOf(this.stops > 0);
    await sleep(this.delayMs);
    this.stops += method.endsWith('Pause') ? 1 : -1;
    if (this.stops < 0) this.dead = true;
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.directory, { recursive: true });
  }
}

function stacksOf(stopped: boolean): string {
  const task = (frame: string): string =>
    `goroutine 9 [select]:\ngvisor.dev/gvisor/pkg/sentry/kernel.${frame}(0x1)\n\tx.go:1\ngvisor.dev/gvisor/pkg/sentry/kernel.(*Task).run(0x1)\n\tx.go:2`;
  const tasks = [task('(*Task).doStop'), task(stopped ? '(*Task).doStop' : '(*Task).block')];
  return ['goroutine 1 [running]:\nmain.main()', ...tasks].join('\n\n');
}

test('Suspensions stops once and lets go on once, however often it is asked', async () => {
  await using sentry = await CountingSentry.listen();
  const bootId = newId('boot');
  const suspensions = new Suspensions();
  await suspensions.unsuspend(bootId, sentry.state, patienceMs);
  for (let round = 0; round < 3; round += 1) {
    for (let call = 0; call < 2; call += 1) await suspensions.suspend(bootId, sentry.state, patienceMs);
    assert.equal(sentry.stops, 1);
    assert.equal(await new Suspensions().isSuspended(bootId, sentry.state, patienceMs), true);
    for (let call = 0; call < 2; call += 1) await suspensions.unsuspend(bootId, sentry.state, patienceMs);
    assert.deepEqual([sentry.stops, sentry.dead], [0, false]);
  }
});

test('Suspensions.unsuspend() undoes a stop that came after its deadline', async () => {
  await using sentry = await CountingSentry.listen();
  const bootId = newId('boot');
  const suspensions = new Suspensions();
  sentry.delayMs = 300;
  await assert.rejects(suspensions.suspend(bootId, sentry.state, 50), { code: 'deadline', reason: 'boot_wedged' });
  assert.equal(sentry.stops, 0);
  await assert.rejects(suspensions.unsuspend(bootId, sentry.state, 50), { code: 'deadline' });
  await suspensions.unsuspend(bootId, sentry.state, patienceMs);
  assert.deepEqual([sentry.stops, sentry.dead], [0, false]);
  await suspensions.suspend(bootId, sentry.state, patienceMs);
  await assert.rejects(suspensions.unsuspend(bootId, sentry.state, 50), { code: 'deadline' });
  await suspensions.unsuspend(bootId, sentry.state, patienceMs);
  assert.deepEqual([sentry.stops, sentry.dead], [0, false]);
});

test('Suspensions looks at the sentry when a daemon was killed between the file and the call', async () => {
  for (const stops of [0, 1]) {
    await using sentry = await CountingSentry.listen();
    const bootId = newId('boot');
    sentry.stops = stops;
    await writeFile(join(sentry.directory, 'suspension'), 'changing');
    assert.equal(await new Suspensions().isSuspended(bootId, sentry.state, patienceMs), stops === 1);
    await new Suspensions().unsuspend(bootId, sentry.state, patienceMs);
    assert.deepEqual([sentry.stops, sentry.dead], [0, false]);
    await new Suspensions().suspend(bootId, sentry.state, patienceMs);
    assert.equal(await readFile(join(sentry.directory, 'suspension'), 'utf8'), 'suspended');
  }
});

test('readStacks() waits for a stop that is under way, and takes no sandbox without tasks for a suspended one', () => {
  assert.equal(readStacks(stacksOf(true)), true);
  assert.equal(readStacks(stacksOf(false)), false);
  assert.equal(readStacks('goroutine 1 [running]:\nmain.main()'), false);
  assert.equal(
    readStacks(`${stacksOf(true)}\n\ngvisor.dev/gvisor/runsc/boot.(*containerManager).Pause(0x1)`),
    undefined,
  );
});
