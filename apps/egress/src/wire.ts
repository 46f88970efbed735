/** DNS on the wire (RFC 1035, RFC 6891), as far as a forwarder reads it. Every function survives any bytes. */

export const headerBytes = 12;

export const recordTypes = { A: 1, SOA: 6, AAAA: 28, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const;
export const responseCodes = {
  noError: 0,
  malformed: 1,
  serverFailure: 2,
  nameUnknown: 3,
  notImplemented: 4,
  refused: 5,
} as const;

export const flags = {
  response: 0x8000,
  opcode: 0x7800,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  checkingDisabled: 0x0010,
  responseCode: 0x000f,
} as const;

/** Header fields. */
export interface Header {
  readonly id: number;
  readonly flags: number;
  readonly questions: number;
  readonly answers: number;
  readonly authorities: number;
  readonly additionals: number;
}

/** Reads a header; `undefined` when the message is shorter than one. */
export function readHeader(message: Buffer): Header | undefined {
  if (message.length < headerBytes) return undefined;
  return {
    id: message.readUInt16BE(0),
    flags: message.readUInt16BE(2),
    questions: message.readUInt16BE(4),
    answers: message.readUInt16BE(6),
    authorities: message.readUInt16BE(8),
    additionals: message.readUInt16BE(10),
  };
}

const mostNameBytes = 255;
const mostLabelBytes = 63;

/** Where the name that begins at `offset` ends; `undefined` when it is malformed. A pointer ends a name; it is not followed. */
export function skipName(message: Buffer, offset: number, pointers: boolean): number | undefined {
  let at = offset;
  for (;;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1 - offset > mostNameBytes ? undefined : at + 1;
    if (length >= 0xc0) return pointers && at + 2 <= message.length ? at + 2 : undefined;
    if (length > mostLabelBytes) return undefined;
    at += 1 + length;
    if (at - offset > mostNameBytes) return undefined;
  }
}

/** One resource record, by its place in the message. */
export interface RecordPlace {
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly ttlOffset: number;
  readonly dataOffset: number;
  readonly dataLength: number;
  readonly section: 'answer' | 'authority' | 'additional';
}

/** The records from `offset` on, as the header counts them; `undefined` when one is malformed. */
export function readRecords(message: Buffer, offset: number, header: Header): RecordPlace[] | undefined {
  const records: RecordPlace[] = [];
  let at = offset;
  const sections = [
    ['answer', header.answers],
    ['authority', header.authorities],
    ['additional', header.additionals],
  ] as const;
  for (const [section, count] of sections) {
    for (let index = 0; index < count; index += 1) {
      const after = skipName(message, at, true);
      if (after === undefined || after + 10 > message.length) return undefined;
      const dataOffset = after + 10;
      const dataLength = message.readUInt16BE(after + 8);
      if (dataOffset + dataLength > message.length) return undefined;
      records.push({
        type: message.readUInt16BE(after),
        class: message.readUInt16BE(after + 2),
        ttl: message.readUInt32BE(after + 4),
        ttlOffset: after + 4,
        dataOffset,
        dataLength,
        section,
      });
      at = dataOffset + dataLength;
    }
  }
  return records;
}

/** Lower case of the ASCII letters of a question; lengths of labels are below them. */
export function lowerCased(question: Buffer): string {
  const lower = Buffer.from(question);
  // The last four bytes are type and class.
  for (let index = 0; index < lower.length - 4; index += 1) {
    const byte = lower[index] ?? 0;
    if (byte >= 0x41 && byte <= 0x5a) lower[index] = byte + 0x20;
  }
  return lower.toString('latin1');
}
