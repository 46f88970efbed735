import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Transform } from 'node:stream';
import { Inflow } from './inflow.ts';

/** What an answer's body passes through. Ended early, it adds the last word that its protocol asks for. */
export interface AnswerFilter extends Transform {
  /** The other side is asked to end the answer. */
  expectEnd(): void;
}

/** How long a slow client may take for the rest of an answer that was broken off, in `ms`. */
const lingerMs = 60_000;

/** The body of an answer on its way to the client. */
export class AnswerPassage {
  readonly #response: ServerResponse;
  readonly #filter: AnswerFilter | undefined;
  readonly #inflow: Inflow;

  constructor(incoming: IncomingMessage, response: ServerResponse, filter: AnswerFilter | undefined) {
    this.#response = response;
    this.#filter = filter;
    let begun = false;
    incoming.once('data', () => {
      begun = true;
    });
    // Streams such as events may send their first byte much later than their head.
    setImmediate(() => {
      if (!begun && !response.destroyed && !response.writableEnded) response.flushHeaders();
    });
    filter?.on('error', () => this.#tear());
    filter?.pipe(response);
    this.#inflow = new Inflow(incoming, filter ?? response);
  }

  /** Takes what the other side has sent without waiting for the client. */
  hurry(): void {
    this.#inflow.hurry();
  }

  /** Whether the other side can be asked to end its answer, which is then read to its end. */
  expectEnd(): boolean {
    if (this.#filter === undefined) return false;
    this.#filter.expectEnd();
    this.#inflow.hurry();
    return true;
  }

  /** Nothing more comes: the client gets what there is, and sees that it is not all unless the filter has a last word. */
  breakOff(): void {
    this.#inflow.passRest();
    if (this.#filter !== undefined) this.#filter.end();
    else this.#tear();
  }

  /** Ends the connection behind what was written to it: the missing end of the body tells the client. */
  #tear(): void {
    const { socket } = this.#response;
    if (socket === null) {
      this.#response.destroy();
      return;
    }
    socket.destroySoon();
    const timer = setTimeout(() => this.#response.destroy(), lingerMs);
    this.#response.once('close', () => clearTimeout(timer));
  }
}
