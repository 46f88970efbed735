/**
 * A program that shows one file by FUSE at a mount point which is a file itself: `fuse-file.ts BACKING MOUNTPOINT`. What is written to it reaches
 * the backing file at the next flush only. Takes orders on standard input, one JSON document a line, and answers each with a line:
 * `{"cut": LOSS, "seed": N}` makes the backing file what a power loss would leave now, and keeps later writes from it; `{"fail": true|false}` answers
 * every write and flush with EIO.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, read, readSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { blockBytes, type Loss, seededRandom, UnsyncedBlocks } from './unsynced-blocks.ts';

const [backing = '', mountPoint = ''] = process.argv.slice(2);
const mostWriteBytes = 1024 * 1024;
const opcodes = {
  forget: 2,
  getattr: 3,
  setattr: 4,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  fallocate: 43,
};
const errors = { io: -5, noSystemCall: -38 };
const inHeaderBytes = 40;
const outHeaderBytes = 16;
/** Shared by all blocks that were discarded, which may be a great many. */
const zeros = Buffer.alloc(blockBytes);

const file = openSync(backing, 'r+');
const size = fstatSync(file).size;
const device = openSync('/dev/fuse', 'r+');
const unsynced = new UnsyncedBlocks();
let isCut = false;
let fails = false;
let reads = 0;
let writes = 0;
let flushes = 0;

/** Attributes of the one file, in the kernel's layout. */
function attributes(): Buffer {
  const answer = Buffer.alloc(104);
  answer.writeBigUInt64LE(3600n, 0);
  answer.writeBigUInt64LE(1n, 16);
  answer.writeBigUInt64LE(BigInt(size), 24);
  answer.writeBigUInt64LE(BigInt(Math.ceil(size / 512)), 32);
  answer.writeUInt32LE(0o100600, 76);
  answer.writeUInt32LE(1, 80);
  answer.writeUInt32LE(blockBytes, 96);
  return answer;
}

function readSynced(offset: number, bytes: number): Buffer {
  const data = Buffer.alloc(bytes);
  readSync(file, data, 0, bytes, offset);
  return data;
}

function readRange(offset: number, bytes: number): Buffer {
  const data = readSynced(offset, Math.max(0, Math.min(bytes, size - offset)));
  for (let block = Math.floor(offset / blockBytes); block * blockBytes < offset + data.length; block++) {
    const newest = unsynced.get(block);
    if (newest === undefined) continue;
    const at = block * blockBytes - offset;
    newest.copy(data, Math.max(0, at), Math.max(0, -at), Math.min(blockBytes, data.length - at));
  }
  return data;
}

/** Takes a write; without data it is of zeros. */
function writeRange(offset: number, bytes: number, data: Buffer | undefined): void {
  unsynced.beginWrite();
  const end = offset + bytes;
  for (let block = Math.floor(offset / blockBytes); block * blockBytes < end; block++) {
    const start = block * blockBytes;
    const [from, to] = [Math.max(offset, start), Math.min(end, start + blockBytes)];
    const whole = to - from === blockBytes;
    if (whole && data === undefined) {
      unsynced.put(block, zeros);
      continue;
    }
    const content = whole ? Buffer.alloc(blockBytes) : Buffer.from(readRange(start, blockBytes));
    if (data === undefined) content.fill(0, from - start, to - start);
    else data.copy(content, from - start, from - offset, to - offset);
    unsynced.put(block, content);
  }
}

function flush(): void {
  // After the cut nothing reaches the image any more: what is flushed stays in memory.
  if (isCut) return;
  for (const [block, data] of unsynced.newest()) writeSync(file, data, 0, blockBytes, block * blockBytes);
  unsynced.clear();
}

function cut(loss: Loss, seed: number): Record<string, unknown> {
  if (isCut) throw new Error('The power is cut already');
  const newest = [...unsynced.newest()];
  const random = seededRandom(seed);
  let kept = 0;
  // What the file showed until now must go on being shown to those who still have it mounted.
  const survivors = [...unsynced.survivors(loss, random)];
  for (const [block, data] of survivors) {
    if (unsynced.get(block) === data) kept++;
  }
  isCut = true;
  for (const [block, data] of survivors) writeSync(file, data, 0, blockBytes, block * blockBytes);
  return { unsyncedBlocks: newest.length, changedBlocks: survivors.length, keptBlocks: kept, reads, writes, flushes };
}

function answer(opcode: number, body: Buffer): Buffer | number {
  switch (opcode) {
    case opcodes.init: {
      const reply = Buffer.alloc(64);
      reply.writeUInt32LE(7, 0);
      reply.writeUInt32LE(Math.min(38, body.readUInt32LE(4)), 4);
      reply.writeUInt32LE(mostWriteBytes, 8);
      // ASYNC_READ, BIG_WRITES, MAX_PAGES
      reply.writeUInt32LE(1 | (1 << 5) | (1 << 22), 12);
      reply.writeUInt16LE(32, 16);
      reply.writeUInt16LE(24, 18);
      reply.writeUInt32LE(mostWriteBytes, 20);
      reply.writeUInt32LE(1, 24);
      reply.writeUInt16LE(mostWriteBytes / 4096, 28);
      return reply;
    }
    case opcodes.getattr:
    case opcodes.setattr:
      return attributes();
    case opcodes.open:
      return Buffer.alloc(16);
    case opcodes.read:
      reads++;
      return readRange(Number(body.readBigUInt64LE(8)), body.readUInt32LE(16));
    case opcodes.write: {
      if (fails) return errors.io;
      writes++;
      const bytes = body.readUInt32LE(16);
      writeRange(Number(body.readBigUInt64LE(8)), bytes, body.subarray(40, 40 + bytes));
      const reply = Buffer.alloc(8);
      reply.writeUInt32LE(bytes, 0);
      return reply;
    }
    case opcodes.fallocate:
      if (fails) return errors.io;
      writeRange(Number(body.readBigUInt64LE(8)), Number(body.readBigUInt64LE(16)), undefined);
      return Buffer.alloc(0);
    case opcodes.fsync:
      if (fails) return errors.io;
      flushes++;
      flush();
      return Buffer.alloc(0);
    case opcodes.statfs: {
      const reply = Buffer.alloc(80);
      reply.writeUInt32LE(blockBytes, 40);
      reply.writeUInt32LE(255, 44);
      reply.writeUInt32LE(blockBytes, 48);
      return reply;
    }
    case opcodes.flush:
    case opcodes.release:
    case opcodes.destroy:
      return Buffer.alloc(0);
    default:
      return errors.noSystemCall;
  }
}

function serve(): void {
  const request = Buffer.allocUnsafe(mostWriteBytes + 4096);
  const next = (): void =>
    read(device, request, 0, request.length, null, (error, bytes) => {
      if (error !== null) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT' || code === 'EINTR' || code === 'EAGAIN') return next();
        // ENODEV: it was unmounted.
        closeSync(file);
        process.exit(code === 'ENODEV' ? 0 : 1);
      }
      const opcode = request.readUInt32LE(4);
      if (opcode !== opcodes.forget && opcode !== opcodes.batchForget && opcode !== opcodes.interrupt) {
        const result = answer(opcode, request.subarray(inHeaderBytes, bytes));
        const header = Buffer.alloc(outHeaderBytes);
        const body = typeof result === 'number' ? Buffer.alloc(0) : result;
        header.writeUInt32LE(outHeaderBytes + body.length, 0);
        header.writeInt32LE(typeof result === 'number' ? result : 0, 4);
        request.copy(header, 8, 8, 16);
        try {
          writeSync(device, Buffer.concat([header, body]));
        } catch (failure) {
          // ENOENT: nobody waits for this answer any more.
          if ((failure as NodeJS.ErrnoException).code !== 'ENOENT') throw failure;
        }
      }
      next();
    });
  next();
}

const options = `fd=3,rootmode=100000,user_id=0,group_id=0`;
const mounted = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'skerry-power', mountPoint], {
  stdio: ['ignore', 'ignore', 'pipe', device],
  encoding: 'utf8',
});
if (mounted.status !== 0) {
  process.stderr.write(`The FUSE mount failed: ${mounted.stderr}\n`);
  process.exit(1);
}
serve();
process.stdout.write('{"ready":true}\n');
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line) as { cut?: Loss; seed?: number; fail?: boolean };
    let reply: Record<string, unknown> = {};
    if (order.fail !== undefined) fails = order.fail;
    if (order.cut !== undefined) reply = cut(order.cut, order.seed ?? 0);
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  })
  // Whoever started it is gone: the device fails from here on, and nothing hangs.
  .on('close', () => process.exit(0));
