/** The other end of `json-server.ts`: calls over a Unix socket with kept connections. */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { Problem } from '@skerry/model';

export interface JsonCall {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Bytes that are sent as they come, in place of a body. */
  readonly content?: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

/** A client of one Unix socket. A socket that nobody answers gives `unavailable`. */
export class JsonClient implements Disposable {
  readonly #socketPath: string;
  readonly #peer: string;
  readonly #agent: Agent = new Agent({ keepAlive: true, maxSockets: 256 });

  /** `peer` names the other side in messages, such as `the host daemon`. */
  constructor(socketPath: string, peer: string) {
    this.#socketPath = socketPath;
    this.#peer = peer;
  }

  /** Calls `METHOD /path` and gives back the parsed answer. Throws the problem that the peer answered. */
  async call(method: string, path: string, call: JsonCall = {}): Promise<unknown> {
    const response = await this.#send(method, path, call);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
  }

  /** Calls and gives back the lines of an NDJSON answer as they come. Ends when the peer ends it or the signal aborts. */
  async *lines(method: string, path: string, call: JsonCall = {}): AsyncGenerator<unknown> {
    const response = await this.#send(method, path, call);
    let rest = '';
    response.setEncoding('utf8');
    try {
      for await (const chunk of response as AsyncIterable<string>) {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        for (const part of parts) if (part !== '') yield JSON.parse(part) as unknown;
      }
    } catch (error) {
      if (call.signal?.aborted === true) return;
      throw new Problem('unavailable', `The connection to ${this.#peer} broke`, { reason: 'peer_lost', cause: error });
    } finally {
      response.destroy();
    }
  }

  /** Calls and gives back the bytes of the answer as they come. Throws `unavailable` when they end before their end. */
  async *bytes(method: string, path: string, call: JsonCall = {}): AsyncGenerator<Uint8Array> {
    const response = await this.#send(method, path, call);
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) yield chunk;
    } catch (error) {
      if (call.signal?.aborted === true) throw Problem.from(call.signal.reason);
      throw new Problem('unavailable', `The connection to ${this.#peer} broke`, { reason: 'peer_lost', cause: error });
    } finally {
      response.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #send(method: string, path: string, call: JsonCall): Promise<IncomingMessage> {
    const query = call.query === undefined ? '' : `?${new URLSearchParams(call.query).toString()}`;
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request(
        {
          socketPath: this.#socketPath,
          agent: this.#agent,
          method,
          path: path + query,
          headers:
            call.content !== undefined
              ? { 'content-type': 'application/octet-stream' }
              : body === undefined
                ? {}
                : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
          ...(call.signal === undefined ? {} : { signal: call.signal }),
        },
        resolve,
      );
      outgoing.once('error', (cause) => {
        if (call.signal?.aborted === true) reject(Problem.from(call.signal.reason));
        else reject(new Problem('unavailable', `No answer from ${this.#peer}`, { reason: 'peer_unavailable', cause }));
      });
      if (call.content === undefined) outgoing.end(body);
      else sendContent(outgoing, call.content, reject);
    });
    const status = response.statusCode ?? 0;
    if (status < 300) return response;
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    // What is still being sent has nobody who takes it.
    if (call.content !== undefined) response.destroy();
    const text = Buffer.concat(chunks).toString();
    let document: unknown = text;
    try {
      document = JSON.parse(text);
    } catch {
      // Judged below: what is no problem document becomes `internal` with the text in its context.
    }
    throw Problem.fromDocument(document, status);
  }
}

/** Sends bytes as they come. When they fail, the call fails as they did; when the peer has answered already, its answer counts. */
function sendContent(
  outgoing: ClientRequest,
  content: AsyncIterable<Uint8Array>,
  reject: (error: unknown) => void,
): void {
  const source = Readable.from(content, { objectMode: false });
  source.once('error', (error) => {
    reject(error);
    outgoing.destroy();
  });
  outgoing.once('close', () => source.destroy());
  source.pipe(outgoing);
}
