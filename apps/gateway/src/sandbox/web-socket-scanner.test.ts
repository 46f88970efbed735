import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closeFrame, WebSocketScanner } from './web-socket-scanner.ts';

function frame(opcode: number, length: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0;
  const head =
    length < 126
      ? Buffer.from([0x80 | opcode, mask | length])
      : length < 65_536
        ? Buffer.from([0x80 | opcode, mask | 126, length >> 8, length & 0xff])
        : Buffer.concat([
            Buffer.from([0x80 | opcode, mask | 127, 0, 0, 0, 0]),
            Buffer.from([length >>> 24, length >> 16, length >> 8, length]),
          ]);
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0, 9), Buffer.alloc(length, 0x89)]);
}

test('WebSocketScanner finds the ends of frames and tells data from pings, however the bytes are cut', () => {
  const frames = fc.record({
    opcode: fc.constantFrom(0x0, 0x1, 0x2, 0x8, 0x9, 0xa),
    length: fc.constantFrom(0, 1, 125, 126, 4000, 65_536),
    masked: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 6 }), fc.integer({ min: 1, max: 5000 }), (given, size) => {
      const scanner = new WebSocketScanner();
      const made = given.map(({ opcode, length, masked }) => frame(opcode, length, masked));
      const bytes = Buffer.concat(made);
      for (let at = 0; at < bytes.length; at += size) scanner.scan(bytes.subarray(at, at + size));
      assert.ok(scanner.atBoundary);
      const work = made.filter((_, index) => (given[index]?.opcode ?? 8) < 8).reduce((sum, one) => sum + one.length, 0);
      assert.equal(scanner.workBytes, work);
      scanner.scan(Buffer.from([0x82, 0x05, 1]));
      assert.ok(!scanner.atBoundary);
    }),
    { numRuns: 60 },
  );
});

test('closeFrame() is one frame', () => {
  for (const masked of [true, false]) {
    const scanner = new WebSocketScanner();
    scanner.scan(closeFrame(masked));
    assert.ok(scanner.atBoundary);
    assert.equal(scanner.workBytes, 0);
  }
});
