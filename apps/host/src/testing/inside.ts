/** Runs things in a sandbox of a test, through its guest's public port. */
import { decodeFrames, encodeFrame, endStreamFlag, type ProcessStreamMessage, processPaths } from '@skerry/protocol';
import { accessToken } from './host-process.ts';

const deadlineMs = 30_000;

async function send(
  address: string,
  path: string,
  type: string,
  body: string | Uint8Array<ArrayBuffer>,
): Promise<Response> {
  return fetch(`http://${address}:49983${path}`, {
    method: 'POST',
    headers: {
      'content-type': type,
      'x-access-token': accessToken,
      authorization: `Basic ${Buffer.from('root:').toString('base64')}`,
    },
    body,
    signal: AbortSignal.timeout(deadlineMs),
  });
}

/** Starts a program that goes on without a client; `terminal` gives it one. */
export async function startInside(address: string, tag: string, script: string, terminal = false): Promise<void> {
  const request = {
    process: { cmd: '/bin/bash', args: ['-c', script] },
    tag,
    ...(terminal ? { pty: { size: { cols: 80, rows: 24 } } } : {}),
  };
  const response = await send(address, processPaths.start, 'application/connect+json', encodeFrame(request));
  for await (const { message } of decodeFrames(bytesOf(response))) {
    if ((message as ProcessStreamMessage).event?.start !== undefined) return;
    throw new Error(`The program did not start: ${JSON.stringify(message)}`);
  }
}

/** Runs a script and gives back what it printed. Throws when its status is not 0. */
export async function runInside(address: string, script: string): Promise<string> {
  const request = { process: { cmd: '/bin/bash', args: ['-c', script] }, stdin: false };
  const response = await send(address, processPaths.start, 'application/connect+json', encodeFrame(request));
  let printed = '';
  let exitCode: number | undefined;
  for await (const { flags, message } of decodeFrames(bytesOf(response))) {
    if ((flags & endStreamFlag) !== 0) {
      if (JSON.stringify(message) !== '{}') throw new Error(`The guest refused: ${JSON.stringify(message)}`);
      break;
    }
    const { event } = message as ProcessStreamMessage;
    printed += Buffer.from(event.data?.stdout ?? event.data?.stderr ?? '', 'base64').toString();
    if (event.end !== undefined) exitCode = event.end.exitCode ?? 0;
  }
  if (exitCode !== 0) throw new Error(`"${script}" ended with ${exitCode}: ${printed}`);
  return printed;
}

/** Types into a terminal that was started with this tag. */
export async function typeInside(address: string, tag: string, text: string): Promise<void> {
  const body = { process: { tag }, input: { pty: Buffer.from(text).toString('base64') } };
  const response = await send(address, processPaths.sendInput, 'application/json', JSON.stringify(body));
  if (!response.ok) throw new Error(`The terminal took no input: ${await response.text()}`);
}

async function* bytesOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body !== null) yield* response.body as AsyncIterable<Uint8Array>;
}
