import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** What a request shows to be let in. */
export interface Credentials {
  readonly apiKey?: string;
  /** `X-Access-Token`: the token of the sandbox. */
  readonly accessToken?: string;
  /** `E2B-Traffic-Access-Token`. */
  readonly trafficToken?: string;
}

/** Reads the credentials of a request. Of two API keys the one in `Authorization` counts. */
export function readCredentials(headers: IncomingHttpHeaders): Credentials {
  const apiKey = bearerKey(headers.authorization) ?? headerKey(headers['x-api-key']);
  const accessToken = one(headers['x-access-token']);
  const trafficToken = one(headers['e2b-traffic-access-token']);
  return {
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(accessToken === undefined ? {} : { accessToken }),
    ...(trafficToken === undefined ? {} : { trafficToken }),
  };
}

/** Whether a header carries an API key of ours, which no sandbox may see. */
export function carriesApiKey(name: string, value: string): boolean {
  if (name === 'authorization') return bearerKey(value) !== undefined;
  // Applications may have an "X-API-Key" of their own: only what looks like ours is taken.
  return name === 'x-api-key' && headerKey(value) !== undefined;
}

/** Compares two secrets in a time that tells nothing but their lengths. */
export function secretsEqual(given: string, expected: string): boolean {
  const left = Buffer.from(given);
  const right = Buffer.from(expected);
  return left.length === right.length && timingSafeEqual(left, right);
}

function bearerKey(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^bearer\s+((?:skerry|e2b)_\S*)\s*$/i.exec(authorization)?.[1];
}

function headerKey(value: string | string[] | undefined): string | undefined {
  const text = one(value)?.trim();
  return text !== undefined && /^(?:skerry|e2b)_/.test(text) ? text : undefined;
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
