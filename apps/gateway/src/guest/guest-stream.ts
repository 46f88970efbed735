import { Transform, type TransformCallback } from 'node:stream';
import { endFrame, isCancelled } from './end-frame.ts';
import { type Framing, FrameScanner } from './frame-scanner.ts';

/** A frame is kept back until it is whole, up to this many bytes: so a stream can be ended between two frames. */
const mostHeldBytes = 1024 * 1024;

/** What a client is told whose stream ends with the boot. */
const pausedMessage = 'the sandbox is being paused';
const lostMessage = 'the sandbox went away during the call';

/**
 * A stream of the guest on its way to a client: passes whole frames on, counts those that are work, and ends as its protocol wants it whatever
 * happens: with `unavailable` when the guest said no last word.
 */
export class GuestStream extends Transform {
  readonly #framing: Framing;
  readonly #scanner: FrameScanner;
  readonly #onWork: (bytes: number) => void;
  /** What has come of a frame that is not whole yet. */
  #part: Buffer[] = [];
  #partBytes = 0;
  /** Whether the client has the beginning of a frame that is not whole yet. */
  #begun = false;
  /** The frame that ends the stream. */
  #end: Buffer[] | undefined;
  #endMessage: string | undefined;

  constructor(framing: Framing, onWork: (bytes: number) => void) {
    super();
    this.#framing = framing;
    this.#scanner = new FrameScanner(framing);
    this.#onWork = onWork;
  }

  /** The guest is asked to end this stream: what it calls cancelled then is `unavailable` to the client. */
  expectEnd(): void {
    this.#endMessage = pausedMessage;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#end === undefined) this.#take(chunk);
    else {
      this.#scanner.scan(chunk);
      this.#end.push(chunk);
    }
    done();
  }

  override _flush(done: TransformCallback): void {
    const end = this.#end !== undefined && this.#scanner.atBoundary ? Buffer.concat(this.#end) : undefined;
    if (end !== undefined && (this.#endMessage === undefined || !isCancelled(end, this.#framing))) this.push(end);
    // A frame whose beginning the client has got already leaves no place for a last word.
    else if (!this.#begun) this.push(endFrame(this.#framing, this.#endMessage ?? lostMessage));
    else {
      done(new Error('The stream ended inside a frame'));
      return;
    }
    done();
  }

  #take(chunk: Buffer): void {
    const workBefore = this.#scanner.workBytes;
    const wholeUntil = this.#scanner.scan(chunk);
    if (this.#scanner.workBytes > workBefore) this.#onWork(this.#scanner.workBytes - workBefore);
    if (this.#scanner.ended) {
      const { endAt } = this.#scanner;
      // What came before belongs to the end itself unless it begins here.
      if (endAt >= 0) this.#passPart();
      if (endAt > 0) this.push(chunk.subarray(0, endAt));
      this.#begun = false;
      this.#end = [...this.#part, chunk.subarray(Math.max(0, endAt))];
      return;
    }
    if (wholeUntil > 0) {
      this.#passPart();
      this.#begun = false;
      this.push(wholeUntil === chunk.length ? chunk : chunk.subarray(0, wholeUntil));
    }
    if (wholeUntil === chunk.length) return;
    this.#part.push(chunk.subarray(wholeUntil));
    this.#partBytes += chunk.length - wholeUntil;
    if (this.#begun || this.#partBytes > mostHeldBytes) {
      this.#passPart();
      this.#begun = true;
    }
  }

  #passPart(): void {
    for (const part of this.#part) this.push(part);
    this.#part = [];
    this.#partBytes = 0;
  }
}
