import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { encodeFrame, endStreamFlag } from '@skerry/protocol';
import fc from 'fast-check';
import { endFrame, isCancelled } from './end-frame.ts';
import { framingOf, FrameScanner } from './frame-scanner.ts';
import { GuestStream } from './guest-stream.ts';

const frame = (payload: Buffer | string, flags = 0): Buffer => {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
};
const keepalives = [
  frame('{"event":{"keepalive":{}}}'),
  frame('{"event": {"keepalive": {} }}'),
  frame('{"keepalive":{}}'),
  frame(Buffer.from('0a022200', 'hex')),
  frame(Buffer.from('1a00', 'hex')),
  frame(gzipSync('{"event":{"keepalive":{}}}'), 1),
];
const works = [
  frame('{"event":{"data":{"stdout":"a2VlcGFsaXZl"}}}'),
  frame('x'.repeat(300)),
  frame(''),
  frame(gzipSync('{"event":{"start":{"pid":1}}}'), 1),
  frame(gzipSync('a'.repeat(100_000)), 1),
  frame('no gzip', 1),
];

test('FrameScanner tells work from keepalives, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...keepalives, ...works), { maxLength: 12 }),
      fc.integer({ min: 1, max: 60 }),
      (frames, size) => {
        const scanner = new FrameScanner('connect');
        const bytes = Buffer.concat(frames);
        let whole = 0;
        for (let at = 0; at < bytes.length; at += size) {
          const chunk = bytes.subarray(at, at + size);
          const until = scanner.scan(chunk);
          assert.ok(until >= 0 && until <= chunk.length);
          if (scanner.atBoundary) whole = at + chunk.length;
          else if (until > 0) whole = at + until;
        }
        assert.equal(whole, bytes.length);
        const work = frames.filter((one) => works.includes(one)).reduce((sum, one) => sum + one.length, 0);
        assert.equal(scanner.workBytes, work);
      },
    ),
  );
});

test('framingOf() knows the framed content types', () => {
  assert.equal(framingOf('application/connect+json'), 'connect');
  assert.equal(framingOf('Application/Connect+Proto; charset=utf-8'), 'connect');
  assert.equal(framingOf('application/grpc-web+proto'), 'grpc-web');
  assert.equal(framingOf('application/grpc-web'), 'grpc-web');
  for (const type of [undefined, 'application/json', 'application/grpc-web-text+proto', 'text/html'])
    assert.equal(framingOf(type), undefined);
});

async function through(stream: GuestStream, bytes: Buffer, size: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const reading = (async () => {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  })();
  for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
  stream.end();
  await reading;
  return Buffer.concat(chunks);
}

test('GuestStream passes everything on as it is, and adds a last word where there is none', async () => {
  const end = Buffer.from(encodeFrame({}, endStreamFlag));
  const lost = Buffer.from(endFrame('connect', 'the sandbox went away during the call'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...keepalives, ...works), { maxLength: 6 }),
      fc.integer({ min: 1, max: 200 }),
      fc.boolean(),
      fc.nat(),
      async (frames, size, ended, cut) => {
        const whole = Buffer.concat([...frames, ...(ended ? [end] : [])]);
        assert.deepEqual(
          await through(new GuestStream('connect', () => undefined), whole, size),
          ended ? whole : Buffer.concat([whole, lost]),
        );
        // Broken off anywhere, what was whole is passed on.
        const part = whole.subarray(0, cut % (whole.length + 1));
        let kept = 0;
        for (const one of frames)
          if (kept + one.length <= part.length) kept += one.length;
          else break;
        if (part.length < whole.length || !ended)
          assert.deepEqual(
            await through(new GuestStream('connect', () => undefined), part, size),
            Buffer.concat([whole.subarray(0, kept), lost]),
          );
      },
    ),
    { numRuns: 200 },
  );
});

test('GuestStream says "unavailable" for what the guest calls cancelled, once it was asked to end', async () => {
  const cancelled = Buffer.from(
    encodeFrame({ error: { code: 'canceled', message: 'context canceled' } }, endStreamFlag),
  );
  for (const asked of [false, true])
    for (const last of [cancelled, frame(gzipSync('{"error":{"code":"canceled"}}'), 3)]) {
      const stream = new GuestStream('connect', () => undefined);
      if (asked) stream.expectEnd();
      const expected = asked ? Buffer.from(endFrame('connect', 'the sandbox is being paused')) : last;
      assert.deepEqual(
        await through(stream, Buffer.concat([frame('{"a":1}'), last]), 7),
        Buffer.concat([frame('{"a":1}'), expected]),
      );
    }
  const natural = new GuestStream('connect', () => undefined);
  natural.expectEnd();
  const done = Buffer.from(encodeFrame({}, endStreamFlag));
  assert.deepEqual(await through(natural, done, 3), done);
});

test('GuestStream breaks off when a frame has been passed on in part', async () => {
  const stream = new GuestStream('connect', () => undefined);
  const huge = frame(Buffer.alloc(3 * 1024 * 1024));
  await assert.rejects(through(stream, huge.subarray(0, 2 * 1024 * 1024), 64 * 1024), /inside a frame/);
});

test('endFrame() and isCancelled() speak gRPC-web too', () => {
  const end = Buffer.from(endFrame('grpc-web', 'gone away'));
  assert.equal(end[0], 0x80);
  assert.equal(end.readUInt32BE(1), end.length - 5);
  assert.equal(end.subarray(5).toString(), 'grpc-status: 14\r\ngrpc-message: gone%20away\r\n');
  assert.equal(isCancelled(frame('grpc-status: 1\r\ngrpc-message: x\r\n', 0x80), 'grpc-web'), true);
  assert.equal(isCancelled(end, 'grpc-web'), false);
  assert.equal(isCancelled(frame('nonsense', 2), 'connect'), false);
});
