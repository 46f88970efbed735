import { createHash } from 'node:crypto';
import { parseDurationMs } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type { FastifyRequest } from 'fastify';
import type { Repeatable } from '../actions/idempotent.ts';

const defaultWaitMs = 60_000;
const mostWaitMs = 3_600_000;
const keyPattern = /^[\x21-\x7e]{1,128}$/;

/** Reads `?wait=`: how long the caller is ready to wait, in `ms`. */
export function waitMsOf(wait: string | undefined): number {
  if (wait === undefined || wait === 'true') return defaultWaitMs;
  if (wait === 'false' || wait === '0') return 0;
  const waitMs = parseDurationMs(wait);
  if (waitMs === undefined)
    throw new Problem('invalid', `"wait" is "${wait.slice(0, 40)}", which is no duration`, {
      reason: 'invalid_query',
      hint: 'Write wait=false, or a duration such as wait=90s.',
    });
  return Math.min(waitMs, mostWaitMs);
}

/** Reads the `Idempotency-Key` of a request. */
export function repeatableOf(request: FastifyRequest): Repeatable | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !keyPattern.test(key))
    throw new Problem('invalid', 'The Idempotency-Key is not valid', {
      reason: 'invalid_idempotency_key',
      hint: 'Use 1 to 128 visible characters.',
    });
  const requestHash = createHash('sha256')
    .update(`${request.method} ${request.url.split('?')[0] ?? ''} ${request.bodyHash}`)
    .digest('hex');
  return { key, requestHash };
}

/** What ends the watch over the caller of each request that is under way. */
const watches = new WeakMap<FastifyRequest, () => void>();

/** Aborted when the caller goes away before it was answered. */
export function goneSignal(request: FastifyRequest): AbortSignal {
  const gone = new AbortController();
  const { socket } = request.raw;
  const leave = (): void => gone.abort();
  socket.once('close', leave);
  const before = watches.get(request);
  watches.set(request, () => {
    before?.();
    socket.off('close', leave);
  });
  return gone.signal;
}

/** A request was answered: its connection may be kept for others. */
export function endGoneSignal(request: FastifyRequest): void {
  watches.get(request)?.();
}
