import { execFile } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

const main = join(import.meta.dirname, '../main.ts');

export const view = {
  id: 'sbaaaaaaaaaaaaaaaaaaaa',
  name: 'work',
  kind: 'persistent',
  status: 'stopped',
  reason: 'requested',
  template: 'base',
  cpus: 2,
  memoryMiB: 1024,
  diskMiB: 10_240,
  env: {},
  labels: {},
  createdAt: new Date().toISOString(),
  onTimeout: 'stop',
  rest: { afterMs: 600_000, action: 'pause', wakeOn: 'request', expireAfterMs: null },
};

export interface Seen {
  readonly method: string;
  readonly path: string;
  /** Parsed when it was JSON. */
  readonly body: unknown;
}

/** Answers one call: a status and a document, or bytes of its own. */
export type Answerer = (
  call: Seen,
  request: IncomingMessage,
  response: ServerResponse,
) => [number, unknown] | 'answered';

export interface CommandEnd {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A server that stands for Skerry, and the command line that speaks to it. */
export class FakeApi implements AsyncDisposable {
  readonly seen: Seen[] = [];
  readonly #server: ReturnType<typeof createServer>;
  #url = '';

  private constructor(answerer: Answerer) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const { method = '', url: path = '' } = request;
        const isJson = request.headers['content-type'] === 'application/json' && text !== '';
        const call: Seen = {
          method,
          path,
          body: isJson ? (JSON.parse(text) as unknown) : text === '' ? undefined : text,
        };
        this.seen.push(call);
        const answer = answerer(call, request, response);
        if (answer === 'answered') return;
        response.writeHead(answer[0], { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer[1]));
      });
    });
  }

  static async start(answerer: Answerer): Promise<FakeApi> {
    const api = new FakeApi(answerer);
    await new Promise<void>((resolve) => api.#server.listen(0, '127.0.0.1', resolve));
    const address = api.#server.address();
    api.#url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    return api;
  }

  /** Runs the command line as a person would. */
  async skerry(args: readonly string[], env: Record<string, string> = {}, input = ''): Promise<CommandEnd> {
    const environment = { PATH: process.env['PATH'], SKERRY_URL: this.#url, SKERRY_API_KEY: 'good', ...env };
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [main, ...args], { env: environment }, (error, out, err) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
      });
      child.stdin?.end(input);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
