import type { IncomingMessage } from 'node:http';
import { Problem } from '@skerry/model';
import { formatBytes } from '@skerry/kit';

/** Reads a JSON body of at most so many bytes. Throws `invalid`; a body that is too large has status 413 by its reason. */
export async function readJsonBody(request: IncomingMessage, mostBytes: number): Promise<unknown> {
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/(?:[a-z0-9.-]+\+)?json\b/i.test(type))
    throw new Problem('invalid', `The body is "${type.slice(0, 80)}", not JSON`, {
      reason: 'invalid_content_type',
      hint: 'Send "Content-Type: application/json".',
    });
  if (Number(request.headers['content-length'] ?? 0) > mostBytes) throw tooLarge(mostBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw tooLarge(mostBytes);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
  } catch (cause) {
    throw new Problem('invalid', 'The body is not JSON', { reason: 'invalid_body', cause });
  }
}

function tooLarge(mostBytes: number): Problem {
  return new Problem('invalid', `The body exceeds ${formatBytes(mostBytes)}`, { reason: 'body_too_large' });
}
