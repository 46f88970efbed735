import type { IncomingMessage } from 'node:http';
import { filesystemPaths, processPaths } from '@skerry/protocol';
import type { Visit, VisitKind } from '../sandbox/visit.ts';
import { framingOf, FrameScanner } from './frame-scanner.ts';
import { GuestStream } from './guest-stream.ts';

/** What a request to the guest's port is. `process`: a client is attached to a command or terminal as long as it lasts. */
export type GuestCallKind = 'process' | 'watch' | 'health' | 'other';

/** How each counts while it lasts. */
export const visitKinds: Readonly<Record<GuestCallKind, VisitKind>> = {
  process: 'attached',
  watch: 'request',
  health: 'probe',
  other: 'request',
};

const streams: ReadonlyMap<string, GuestCallKind> = new Map([
  [processPaths.start, 'process'],
  [processPaths.connect, 'process'],
  [processPaths.streamInput, 'process'],
  [filesystemPaths.watchDir, 'watch'],
]);

export function guestCallOf(method: string, target: string): GuestCallKind {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  if (path === '/health' && (method === 'GET' || method === 'HEAD')) return 'health';
  return streams.get(path) ?? 'other';
}

/** What the answer of a stream passes through; `undefined` when it is no stream, such as a refusal. */
export function guestStream(answer: IncomingMessage, visit: Visit): GuestStream | undefined {
  const framing = framingOf(answer.headers['content-type']);
  if (framing === undefined) return undefined;
  return new GuestStream(framing, (bytes) => {
    visit.moved += bytes;
  });
}

/** Counts what a client streams to the guest; its keepalives are no work either. `undefined` when it is no stream. */
export function uploadCounter(request: IncomingMessage, visit: Visit): ((chunk: Buffer) => void) | undefined {
  const framing = framingOf(request.headers['content-type']);
  if (framing === undefined) return undefined;
  const scanner = new FrameScanner(framing);
  return (chunk) => {
    const before = scanner.workBytes;
    scanner.scan(chunk);
    visit.moved += scanner.workBytes - before;
  };
}
