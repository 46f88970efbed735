import type { Duplex } from 'node:stream';
import { Problem } from '@skerry/model';

const tooLarge = new Problem('invalid', 'The request head exceeds 32 KiB', { reason: 'head_too_large' });
const tooSlow = new Problem('deadline', 'The request head did not come in time', { reason: 'head_timeout' });
const broken = new Problem('invalid', 'The request is not valid HTTP/1.1', { reason: 'invalid_http' });

/** Answers what the parser refused, as far as the client still listens, and closes the connection: its framing is unknown now. */
export function answerUnparsed(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, problem] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', tooLarge]
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', tooSlow]
        : ['400 Bad Request', broken];
  const body = JSON.stringify({ ...problem.toDocument(), status: Number(status.slice(0, 3)) });
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
