import type { Socket } from 'node:net';
import type { Upstream } from './upstream.ts';

/** Why a visit is to end: the boot is about to rest, or it has ended. */
export type EndReason = 'rest' | 'gone';
/** `probe`: asks only whether it is there, and is no work · `attached`: a client of a command or terminal. */
export type VisitKind = 'request' | 'attached' | 'probe';

/** What serves a visit. */
export interface Visitor {
  /** Ends it in order: what the sandbox had sent is passed on first. */
  end(why: EndReason): void;
  /** Ends it at once. */
  cut(): void;
}

/** One request or upgraded connection that is under way to a boot. */
export class Visit {
  readonly upstream: Upstream;
  readonly kind: VisitKind;
  /** Counts what moved: any number that grows. Pings are not counted. */
  moved = 0;
  /** A connection whose bytes count, besides `moved`. */
  socket: Socket | undefined;
  #seen = -1;
  #holders = 1;
  #ending: EndReason | undefined;
  #finished = false;
  // Nearly always one.
  readonly #visitors: Visitor[] = [];

  constructor(upstream: Upstream, kind: VisitKind) {
    this.upstream = upstream;
    this.kind = kind;
  }

  /** Why it is to end; `undefined` while it may go on. */
  get ending(): EndReason | undefined {
    return this.#ending;
  }

  /** Who is asked to end. The visit ends when each that was added has called the function it got, and `finish` was called. */
  add(visitor: Visitor): () => void {
    this.#visitors.push(visitor);
    this.#holders += 1;
    let left = false;
    if (this.#ending !== undefined) visitor.end(this.#ending);
    return () => {
      if (left) return;
      left = true;
      this.#visitors.splice(this.#visitors.indexOf(visitor), 1);
      this.#release();
    };
  }

  /** Nothing more will be added. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#release();
  }

  end(why: EndReason): void {
    this.#ending = why;
    for (const visitor of [...this.#visitors]) visitor.end(why);
  }

  cut(): void {
    for (const visitor of [...this.#visitors]) visitor.cut();
  }

  /** Whether anything may have moved since `hasMoved` was last called. */
  mayHaveMoved(): boolean {
    return this.#seen < 0 || this.hasMoved();
  }

  /** Whether bytes have moved since the last call. */
  hasMoved(): boolean {
    const { socket } = this;
    const bytes = this.moved + (socket === undefined ? 0 : socket.bytesRead + socket.bytesWritten);
    const moved = bytes !== this.#seen;
    this.#seen = bytes;
    return moved;
  }

  #release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.upstream.leave(this);
  }
}
