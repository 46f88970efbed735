import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { type Answer, parseAnswer } from './answer.ts';
import { encodeUpstreamQuery, type Query } from './query.ts';
import { responseCodes } from './wire.ts';

/** A name server of the machine. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

/** How long one name server is waited for, in `ms`. */
export interface UpstreamTimes {
  readonly udpMs: number;
  readonly tcpMs: number;
}

const defaultTimes: UpstreamTimes = { udpMs: 1500, tcpMs: 3000 };

function newQueryId(): number {
  return randomInt(0x10000);
}

/** Asks by UDP, from a port of its own each time; what is no answer to this very question is passed over. */
function askByUdp(upstream: Upstream, query: Query, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const id = newQueryId();
    const socket = createSocket(isIPv6(upstream.address) ? 'udp6' : 'udp4');
    const end = (result: Answer | Error): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    const timer = setTimeout(() => end(new Error(`no answer from ${upstream.address} by UDP`)), timeoutMs);
    socket.once('error', (error) => end(error));
    socket.on('message', (message) => {
      const answer = parseAnswer(message, query, id);
      if (answer !== undefined) end(answer);
    });
    // Connected: the kernel passes over what other addresses send, and reports a port that nobody listens on.
    socket.connect(upstream.port, upstream.address, () => {
      socket.send(encodeUpstreamQuery(query, id), (error) => {
        if (error !== null) end(error);
      });
    });
  });
}

/** Asks by TCP, for answers that UDP truncates. */
function askByTcp(upstream: Upstream, query: Query, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const id = newQueryId();
    const message = encodeUpstreamQuery(query, id);
    const framed = Buffer.alloc(2 + message.length);
    framed.writeUInt16BE(message.length, 0);
    message.copy(framed, 2);
    let received: Buffer = Buffer.alloc(0);
    const socket = connect({ host: upstream.address, port: upstream.port }, () => socket.write(framed));
    const end = (result: Answer | Error): void => {
      clearTimeout(timer);
      socket.destroy();
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    const timer = setTimeout(() => end(new Error(`no answer from ${upstream.address} by TCP`)), timeoutMs);
    socket.once('error', (error) => end(error));
    socket.once('close', () => end(new Error(`${upstream.address} closed the connection`)));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = parseAnswer(received.subarray(2, 2 + received.readUInt16BE(0)), query, id);
      end(answer ?? new Error(`${upstream.address} sent no answer to the question`));
    });
  });
}

/** Asks the machine's name servers in turn, the one that answered last first. */
export class Upstreams {
  readonly #upstreams: readonly Upstream[];
  readonly #times: UpstreamTimes;
  #preferred = 0;

  constructor(upstreams: readonly Upstream[], times: UpstreamTimes = defaultTimes) {
    this.#upstreams = upstreams;
    this.#times = times;
  }

  /** An answer of the first name server that has one. Throws when none answers. */
  async ask(query: Query): Promise<Answer> {
    let failing: Answer | undefined;
    let error: unknown = new Error('this machine has no name server');
    const first = this.#preferred;
    for (let turn = 0; turn < this.#upstreams.length; turn += 1) {
      const index = (first + turn) % this.#upstreams.length;
      const upstream = this.#upstreams[index];
      if (upstream === undefined) continue;
      try {
        const answer = await this.#askOne(upstream, query);
        const { serverFailure, refused, notImplemented } = responseCodes;
        if (
          answer.responseCode === serverFailure ||
          answer.responseCode === refused ||
          answer.responseCode === notImplemented
        ) {
          failing = answer;
          continue;
        }
        this.#preferred = index;
        return answer;
      } catch (cause) {
        error = cause;
      }
    }
    if (failing !== undefined) return failing;
    throw error;
  }

  async #askOne(upstream: Upstream, query: Query): Promise<Answer> {
    const answer = await this.#askTwice(upstream, query);
    return answer.truncated ? await askByTcp(upstream, query, this.#times.tcpMs) : answer;
  }

  /** A lost datagram is common: each name server is asked twice. */
  async #askTwice(upstream: Upstream, query: Query): Promise<Answer> {
    try {
      return await askByUdp(upstream, query, this.#times.udpMs / 3);
    } catch {
      return await askByUdp(upstream, query, (this.#times.udpMs * 2) / 3);
    }
  }
}
