import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFrames, encodeFrame, endStreamFlag, maxFrameBytes } from './frames.ts';

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('decodeFrames() gives back what encodeFrame() wrote, however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue(), { maxLength: 8 }),
      fc.integer({ min: 1, max: 40 }),
      async (messages, size) => {
        const plain = JSON.parse(JSON.stringify(messages)) as unknown[];
        const bytes = Buffer.concat([...plain.map((message) => encodeFrame(message)), encodeFrame({}, endStreamFlag)]);
        const frames = await Array.fromAsync(decodeFrames(cut(bytes, size)));
        assert.deepEqual(
          frames.map((frame) => frame.message),
          [...plain, {}],
        );
        assert.equal(frames.at(-1)?.flags, endStreamFlag);
      },
    ),
    { numRuns: 50 },
  );
});

test('decodeFrames() throws when a frame is too large, compressed, cut off or no JSON', async () => {
  const header = (flags: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(5);
    bytes[0] = flags;
    new DataView(bytes.buffer).setUint32(1, length);
    return bytes;
  };
  for (const bytes of [
    header(0, maxFrameBytes + 1),
    header(1, 2),
    header(0, 9),
    header(0, 1).subarray(0, 3),
    Buffer.concat([header(0, 1), Buffer.from('{')]),
  ])
    await assert.rejects(Array.fromAsync(decodeFrames(cut(bytes, 100))));
});
