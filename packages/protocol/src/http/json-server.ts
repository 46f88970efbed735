/** A small JSON server for the Unix sockets between our own processes: routes of `METHOD /path/:param`, problems as answers. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Problem } from '@skerry/model';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

export interface JsonRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The parsed body; `undefined` without one. */
  readonly body: unknown;
  /** The body as it comes, when it is no JSON; empty otherwise. */
  readonly content: AsyncIterable<Uint8Array>;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
}

/** An answer of bytes that are sent as they come. */
export class ByteAnswer {
  readonly content: AsyncIterable<Uint8Array>;

  constructor(content: AsyncIterable<Uint8Array>) {
    this.content = content;
  }
}

/** Answers a call with what is to be sent as JSON, with an async iterable that is sent as NDJSON, or with a `ByteAnswer`. */
export type JsonHandler = (request: JsonRequest) => Promise<unknown>;

const maxBodyBytes = 4 * 1024 * 1024;
const streamKeepAliveMs = 15_000;

/** Makes a parser for a body of this shape. It throws `invalid` naming the first wrong field. */
export function bodyParser<S extends TSchema>(schema: S): (body: unknown) => Static<S> {
  const check = Compile(schema);
  return (body) => {
    if (check.Check(body)) return body as Static<S>;
    const [first] = check.Errors(body);
    throw new Problem(
      'invalid',
      `The body is not valid${first === undefined ? '' : `: "${first.instancePath || '/'}" ${first.message}`}`,
      {
        reason: 'invalid_body',
      },
    );
  };
}

/** Makes a server (not yet listening). Each key of `routes` is such as `PUT /v1/boots/:bootId`. */
export function createJsonServer(
  routes: Readonly<Record<string, JsonHandler>>,
  onProblem: (problem: Problem, request: IncomingMessage) => void,
): Server {
  const table = Object.entries(routes).map(([route, handler]) => {
    const [method = '', path = ''] = route.split(' ');
    return { method, segments: path.split('/'), handler };
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://socket');
    const segments = url.pathname.split('/');
    const matched = table.find(
      (entry) =>
        entry.method === request.method &&
        entry.segments.length === segments.length &&
        entry.segments.every((segment, index) => segment.startsWith(':') || segment === segments[index]),
    );
    if (matched === undefined) throw new Problem('not_found', `There is no "${request.method} ${url.pathname}"`);
    const params: Record<string, string> = {};
    for (const [index, segment] of matched.segments.entries())
      if (segment.startsWith(':')) params[segment.slice(1)] = decodeURIComponent(segments[index] ?? '');
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new Problem('cancelled', 'The caller went away'));
    });
    const isContent = request.headers['content-type'] === 'application/octet-stream';
    const result = await matched.handler({
      params,
      query: url.searchParams,
      body: isContent ? undefined : await readJson(request),
      content: isContent ? (request as AsyncIterable<Buffer>) : noBytes(),
      signal: gone.signal,
    });
    if (result instanceof ByteAnswer) await sendBytes(response, result.content, gone.signal);
    else if (isAsyncIterable(result)) await sendLines(response, result, gone.signal);
    else send(response, 200, 'application/json', JSON.stringify(result ?? {}));
  }

  return createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const problem = Problem.from(error);
      onProblem(problem, request);
      if (response.headersSent) response.destroy();
      else send(response, problem.status, 'application/problem+json', JSON.stringify(problem.toDocument()));
    });
  });
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes)
      throw new Problem('invalid', `The body exceeds ${maxBodyBytes} bytes`, { reason: 'body_too_large' });
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
  } catch (cause) {
    throw new Problem('invalid', 'The body is not JSON', { reason: 'invalid_body', cause });
  }
}

async function* noBytes(): AsyncGenerator<Uint8Array> {}

/** The head goes out with the first bytes: what fails before them is answered as a problem, what fails later breaks the connection. */
async function sendBytes(
  response: ServerResponse,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        response.off('drain', done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      response.once('drain', done);
      signal.addEventListener('abort', done);
    });
  for await (const chunk of content) {
    if (signal.aborted) return;
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/octet-stream' });
    if (!response.write(chunk)) await drained();
  }
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/octet-stream' });
  response.end();
}

async function sendLines(response: ServerResponse, lines: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const keepAlive = setInterval(() => response.write('\n'), streamKeepAliveMs);
  try {
    for await (const line of lines) {
      if (signal.aborted) return;
      if (!response.write(`${JSON.stringify(line)}\n`))
        await new Promise<void>((resolve) => {
          response.once('drain', resolve);
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
    }
    response.end();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(keepAlive);
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
