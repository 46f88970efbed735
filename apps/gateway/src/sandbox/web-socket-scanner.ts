const shortHeadBytes = 2;
const longestHeadBytes = 14;
const maskedFlag = 0x80;
/** Opcodes from here on are control frames: close, ping, pong. */
const firstControl = 0x8;

/** Follows the frames of one direction of a WebSocket (RFC 6455) as its bytes pass: where one ends, and which are no mere pings. */
export class WebSocketScanner {
  /** Bytes of frames that carry data. */
  workBytes = 0;
  readonly #head = Buffer.alloc(longestHeadBytes);
  #held = 0;
  #needed = shortHeadBytes;
  #left = 0;

  /** Whether the bytes so far end with a whole frame. */
  get atBoundary(): boolean {
    return this.#held === 0 && this.#left === 0;
  }

  scan(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        continue;
      }
      const taken = chunk.copy(this.#head, this.#held, at, at + this.#needed - this.#held);
      this.#held += taken;
      at += taken;
      if (this.#held < this.#needed) return;
      this.#needed = headLength(this.#head);
      if (this.#held === this.#needed) this.#beginPayload();
    }
  }

  #beginPayload(): void {
    const length = (this.#head[1] ?? 0) & 0x7f;
    this.#left =
      length < 126 ? length : length === 126 ? this.#head.readUInt16BE(2) : Number(this.#head.readBigUInt64BE(2));
    if (((this.#head[0] ?? 0) & 0x0f) < firstControl) this.workBytes += this.#held + this.#left;
    this.#held = 0;
    this.#needed = shortHeadBytes;
  }
}

function headLength(head: Buffer): number {
  const second = head[1] ?? 0;
  const length = second & 0x7f;
  return shortHeadBytes + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & maskedFlag) !== 0 ? 4 : 0);
}

/** A close frame "going away" (1001), as a server sends it, or as a client does (masked, with a mask of zeros). */
export function closeFrame(masked: boolean): Buffer {
  return Buffer.from(masked ? [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9] : [0x88, 0x02, 0x03, 0xe9]);
}
