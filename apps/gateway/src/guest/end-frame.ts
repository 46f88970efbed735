import { gunzipSync } from 'node:zlib';
import { type EndStreamMessage, encodeFrame, endStreamFlag } from '@skerry/protocol';
import type { Framing } from './frame-scanner.ts';

const headBytes = 5;
const compressedFlag = 0x01;
const trailersFlag = 0x80;
const mostBytes = 64 * 1024;

/** The frame that ends a stream with the error `unavailable`. */
export function endFrame(framing: Framing, message: string): Uint8Array {
  if (framing === 'connect') {
    const end: EndStreamMessage = { error: { code: 'unavailable', message } };
    return encodeFrame(end, endStreamFlag);
  }
  const trailers = Buffer.from(`grpc-status: 14\r\ngrpc-message: ${encodeURIComponent(message)}\r\n`);
  const head = Buffer.alloc(headBytes);
  head[0] = trailersFlag;
  head.writeUInt32BE(trailers.length, 1);
  return Buffer.concat([head, trailers]);
}

/** Whether a frame that ends a stream says that it was cancelled, as the guest does when its client has left. */
export function isCancelled(frame: Buffer, framing: Framing): boolean {
  let text: string;
  try {
    const payload = frame.subarray(headBytes);
    const compressed = ((frame[0] ?? 0) & compressedFlag) !== 0;
    text = (compressed ? gunzipSync(payload, { maxOutputLength: mostBytes }) : payload).toString();
    if (framing === 'grpc-web') return /^grpc-status:\s*1\s*$/im.test(text);
    const { error } = JSON.parse(text) as EndStreamMessage;
    return error?.code === 'canceled';
  } catch {
    // What cannot be read is passed on as it is.
    return false;
  }
}
