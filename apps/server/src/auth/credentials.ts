import type { IncomingHttpHeaders } from 'node:http';
import { Problem } from '@skerry/model';

const keyPattern = /^(?:skerry|e2b)_[0-9a-f]{40}$/;
const hint = 'Send "Authorization: Bearer KEY" or "X-API-Key: KEY"; "skerry key" prints the instance\'s first key.';

/** Says whether a text has the form of an API key. */
export function isKey(text: string): boolean {
  return keyPattern.test(text);
}

/** The API key of a request. Throws `unauthenticated`. */
export function keyOf(headers: IncomingHttpHeaders): string {
  const { authorization } = headers;
  const plain = headers['x-api-key'];
  const sent = authorization === undefined ? plain : /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  if (sent === undefined && authorization === undefined)
    throw new Problem('unauthenticated', 'The request carries no API key', { reason: 'no_key', hint });
  if (typeof sent !== 'string' || !isKey(sent))
    throw new Problem('unauthenticated', 'The API key does not have the form of one', {
      reason: 'malformed_key',
      hint,
    });
  return sent;
}
