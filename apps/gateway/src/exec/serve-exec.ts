import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { Problem } from '@skerry/model';
import { bodyParser, ExecBody, type ExecEvent, type ExecResult, maxExecOutputBytes } from '@skerry/protocol';
import type { GuestClient } from '../guest/guest-client.ts';
import { answerJson } from '../http/answers.ts';
import { runCommand } from './run-command.ts';

/** Most that a body may hold, in `bytes`. */
export const maxExecBodyBytes = 16 * 1024 * 1024;

/** Parses the body of `exec`. */
export const parseExecBody: (body: unknown) => ExecBody = bodyParser(ExecBody);

/** Runs a command and answers with its result, or with its events as they come when the client asks for NDJSON. */
export async function serveExec(
  guest: GuestClient,
  body: ExecBody,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const events = runCommand(guest, body, signal);
  if ((request.headers.accept ?? '').includes('application/x-ndjson')) await sendEvents(events, response);
  else answerJson(request, response, 200, await collectResult(events));
}

async function sendEvents(events: AsyncGenerator<ExecEvent>, response: ServerResponse): Promise<void> {
  // What fails before the command has started is an answer of its own.
  const first = await events.next();
  response.writeHead(200, {
    'content-type': 'application/x-ndjson',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.flushHeaders();
  try {
    for (let next = first; next.done !== true; next = await events.next()) {
      if (response.destroyed) break;
      if (!response.write(`${JSON.stringify(next.value)}\n`)) await drained(response);
    }
  } catch (error) {
    response.write(
      `${JSON.stringify({ type: 'problem', problem: Problem.from(error).toDocument() } satisfies ExecEvent)}\n`,
    );
  } finally {
    await events.return(undefined);
    response.end();
  }
}

async function drained(response: ServerResponse): Promise<void> {
  const stop = new AbortController();
  const wait = { signal: stop.signal };
  await Promise.race([once(response, 'drain', wait), once(response, 'close', wait)]).finally(() => stop.abort());
}

async function collectResult(events: AsyncIterable<ExecEvent>): Promise<ExecResult> {
  const startedAt = performance.now();
  const stdout = new Output();
  const stderr = new Output();
  let pid = 0;
  let end: Extract<ExecEvent, { type: 'end' }> | undefined;
  for await (const event of events) {
    if (event.type === 'start') pid = event.pid;
    else if (event.type === 'stdout') stdout.add(event.data);
    else if (event.type === 'stderr') stderr.add(event.data);
    else if (event.type === 'end') end = event;
  }
  return {
    pid,
    ...(end === undefined
      ? {}
      : { exitCode: end.exitCode, ...(end.signal === undefined ? {} : { signal: end.signal }) }),
    stdout: stdout.text(),
    stderr: stderr.text(),
    truncated: stdout.truncated || stderr.truncated,
    timedOut: end?.timedOut ?? false,
    durationMs: end?.durationMs ?? Math.round(performance.now() - startedAt),
  };
}

/** One output of a command, kept up to the limit. */
class Output {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  truncated = false;

  /** Takes bytes in base64. */
  add(base64: string): void {
    if (this.truncated) return;
    const room = maxExecOutputBytes - this.#bytes;
    const chunk = Buffer.from(base64, 'base64');
    this.truncated = chunk.length > room;
    this.#chunks.push(this.truncated ? chunk.subarray(0, room) : chunk);
    this.#bytes += Math.min(chunk.length, room);
  }

  text(): string {
    const bytes = Buffer.concat(this.#chunks);
    // A decoder keeps back the part of a character that the cut left at the end.
    return this.truncated ? new StringDecoder('utf8').write(bytes) : bytes.toString();
  }
}
