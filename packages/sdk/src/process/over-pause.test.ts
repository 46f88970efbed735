import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { decodeFrames, encodeFrame, endStreamFlag } from '@skerry/protocol/client';
import type { Skerry } from '../skerry.ts';
import { SkerryError } from '../skerry-error.ts';
import { base64, frame, json, view, withServer } from '../testing/fake-server.ts';
import type { PauseNotice } from './over-pause.ts';

const resumed = { from: 'memory', at: '2030-01-01T00:00:00.000Z' };
const pausedFrame = encodeFrame(
  { error: { code: 'unavailable', message: 'the sandbox is being paused' } },
  endStreamFlag,
);

interface Scene {
  /** Ends the stream of the process that was started. */
  readonly end: (response: ServerResponse) => void;
  /** What the sandbox says of itself, a look each; the last one stays. */
  readonly looks: readonly Record<string, unknown>[];
  /** Answers a client that attaches again. */
  readonly again?: (response: ServerResponse) => void;
  readonly unary?: (path: string, message: unknown, response: ServerResponse) => void;
}

const finish = (text: string) => (response: ServerResponse) => {
  response.write(frame({ start: { pid: 7, droppedBytes: '3' } }));
  response.write(frame({ data: { pty: base64(text) } }));
  response.write(frame({ end: { exitCode: 4, exited: true } }));
  response.end(encodeFrame({}, endStreamFlag));
};

/** A sandbox that is paused while a process runs in it; `wait` sees it as scripted. */
async function play(scene: Scene, work: (skerry: Skerry, paths: string[]) => Promise<void>): Promise<void> {
  let looks = 0;
  const paths: string[] = [];
  await withServer(
    async (request, response, body) => {
      const path = request.url ?? '';
      paths.push(path);
      if (path.startsWith('/v1/')) {
        const look = looks++ === 0 ? {} : (scene.looks[Math.min(looks - 2, scene.looks.length - 1)] ?? {});
        json(response, 200, { ...view, ...look });
      } else if (path.endsWith('/Start')) {
        response.write(frame({ start: { pid: 7 } }));
        response.write(frame({ data: { pty: base64('a') } }));
        scene.end(response);
      } else if (path.endsWith('/Connect')) {
        const chunks = (async function* () {
          yield body;
        })();
        const [first] = await Array.fromAsync(decodeFrames(chunks));
        assert.deepEqual(first?.message, { process: { pid: 7 } });
        assert.equal(request.headers['x-access-token'], 'token2');
        scene.again?.(response);
      } else if (scene.unary === undefined) json(response, 200, {});
      else scene.unary(path, JSON.parse(body.toString()), response);
    },
    (skerry) => work(skerry, paths),
  );
}

const clean = (response: ServerResponse): void => void response.end(pausedFrame);
const cut = (response: ServerResponse): void => void setTimeout(() => response.destroy(), 20);

for (const [how, end] of Object.entries({ 'that the guest ends': clean, 'that is cut': cut }))
  test(`a stream ${how} because of a pause goes on when the sandbox runs again, with its size and what was kept`, async () => {
    const sizes: unknown[] = [];
    const scene: Scene = {
      end,
      looks: [
        { status: 'pausing' },
        { status: 'paused' },
        { status: 'resuming' },
        { status: 'running', resume: resumed, accessToken: 'token2' },
      ],
      again: finish('b'),
      unary: (path, message, response) => {
        assert.equal(path, '/process.Process/Update');
        sizes.push(message);
        json(response, 200, {});
      },
    };
    await play(scene, async (skerry, paths) => {
      const { process } = await skerry.sandboxes.get('one');
      const running = await process.start({ command: ['x'], terminal: { cols: 80, rows: 24 } });
      const notices: PauseNotice[] = [];
      let text = '';
      const exit = await running.wait(
        ({ data }) => {
          text += new TextDecoder().decode(data);
        },
        { onPause: (notice) => notices.push(notice) },
      );
      assert.equal(text, 'ab');
      assert.equal(exit.exitCode, 4);
      assert.deepEqual(
        notices.map((notice) => notice.state),
        ['waiting', 'attached'],
      );
      assert.equal(notices[1]?.state === 'attached' && notices[1].droppedBytes, 3);
      assert.deepEqual(sizes, [{ process: { pid: 7 }, pty: { size: { cols: 80, rows: 24 } } }]);
      assert.ok(
        paths.every((path) => !path.endsWith('/resume')),
        'looking does not wake it',
      );
    });
  });

test('a client that does not wait is told where its process is', async () => {
  await play({ end: clean, looks: [{ status: 'pausing' }] }, async (skerry) => {
    const { process } = await skerry.sandboxes.get('one');
    const error = await process.run({ command: ['x'], onPause: 'throw' }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof SkerryError);
    assert.equal(error.reason, 'sandbox_paused');
    assert.match(error.hint ?? '', /skerry attach one 7/);
  });
});

test('a sandbox that comes back without its memory, or not at all, is told with what was lost', async () => {
  const lost = { from: 'disk', lost: 'processes', why: 'the image is damaged', at: resumed.at };
  const scenes: [Record<string, unknown>[], string, RegExp][] = [
    [[{ status: 'paused' }, { status: 'starting' }, { status: 'running', resume: lost }], 'memory_lost', /damaged/],
    [[{ status: 'paused' }, { status: 'starting' }, { status: 'running' }], 'memory_lost', /without its processes/],
    [[{ status: 'paused' }, { status: 'stopped' }], 'processes_ended', /is stopped/],
  ];
  for (const [looks, reason, message] of scenes)
    await play({ end: clean, looks }, async (skerry) => {
      const { process } = await skerry.sandboxes.get('one');
      await assert.rejects(process.run({ command: ['x'] }), { reason, message });
    });
});

test('waiting for a paused sandbox ends with its signal', async () => {
  await play({ end: clean, looks: [{ status: 'paused' }] }, async (skerry) => {
    const { process } = await skerry.sandboxes.get('one');
    const running = await process.start({ command: ['x'] });
    const stop = new AbortController();
    const onPause = (): void => void setTimeout(() => stop.abort(), 50);
    await assert.rejects(running.wait(undefined, { onPause, signal: stop.signal }), { code: 'cancelled' });
  });
});

test('input waits for the sandbox and arrives once', async () => {
  const inputs: unknown[] = [];
  let refused = 0;
  let typed: (() => void) | undefined;
  const scene: Scene = {
    end: (response) => void setTimeout(() => response.end(pausedFrame), 100),
    looks: [{ status: 'paused' }, { status: 'running', resume: resumed, accessToken: 'token2' }],
    again: (response) => {
      response.write(frame({ start: { pid: 7 } }));
      typed = () => finish('')(response);
    },
    unary: (_, message, response) => {
      if (refused++ === 0) json(response, 503, { code: 'unavailable', message: 'the sandbox is being paused' });
      else {
        inputs.push(message);
        json(response, 200, {});
        setTimeout(() => typed?.(), 300);
      }
    },
  };
  await play(scene, async (skerry) => {
    const { process } = await skerry.sandboxes.get('one');
    const running = await process.start({ command: ['x'], stdin: true });
    const ended = running.wait();
    await running.sendInput(new TextEncoder().encode('hello'));
    assert.deepEqual(inputs, [{ process: { pid: 7 }, input: { stdin: base64('hello') } }]);
    assert.equal((await ended).exitCode, 4);
  });
});
