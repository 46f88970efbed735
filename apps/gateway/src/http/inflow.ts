import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** Most that is kept for a slow reader of what the other side had sent before its end, in `bytes`. */
const mostKeptBytes = 32 * 1024 * 1024;
/** How long nothing may come from a boot that is gone before all that it sent is taken to be here, in `ms`. */
const quietMs = 100;

/** The body of an answer on its way on, with back-pressure until the other side is about to go away. */
export class Inflow {
  readonly #incoming: IncomingMessage;
  readonly #to: Writable;
  #hurried = false;
  #kept = 0;

  constructor(incoming: IncomingMessage, to: Writable) {
    this.#incoming = incoming;
    this.#to = to;
    incoming.pipe(to);
  }

  /** From now on takes what the other side has sent without waiting for the reader. */
  hurry(): void {
    if (this.#hurried) return;
    this.#hurried = true;
    const incoming = this.#incoming;
    incoming.unpipe();
    incoming.on('data', (chunk: Buffer) => {
      this.#to.write(chunk);
      this.#kept += chunk.length;
      if (this.#kept > mostKeptBytes) incoming.destroy(new Error('The reader is too slow for what is left'));
    });
    incoming.once('end', () => this.#to.end());
    incoming.resume();
  }

  /** Passes on what was read already and waits for the reader, also of a connection that has broken; nothing more comes after it. */
  passRest(): void {
    const incoming = this.#incoming;
    incoming.unpipe();
    const next = (): Buffer | null => incoming.read() as Buffer | null;
    for (let chunk = next(); chunk !== null; chunk = next()) if (!this.#to.writableEnded) this.#to.write(chunk);
  }
}

/** Calls back when nothing has come on a connection for a moment. Returns what gives it up. */
export function whenQuiet(socket: Socket | null, then: () => void): () => void {
  let seen = socket?.bytesRead ?? 0;
  const timer = setInterval(() => {
    const bytes = socket?.bytesRead ?? 0;
    if (bytes === seen) {
      clearInterval(timer);
      then();
    }
    seen = bytes;
  }, quietMs);
  return () => clearInterval(timer);
}
