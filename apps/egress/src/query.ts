import {
  flags,
  headerBytes,
  lowerCased,
  readHeader,
  readRecords,
  recordTypes,
  responseCodes,
  skipName,
} from './wire.ts';

/** A question of a sandbox. */
export interface Query {
  readonly id: number;
  /** Name, type and class as they came, case included. */
  readonly question: Buffer;
  readonly type: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** Present when the client speaks EDNS. */
  readonly edns: { readonly mostBytes: number; readonly dnssecOk: boolean } | undefined;
  /** Equal for questions that have equal answers. */
  readonly key: string;
}

/** What came of a message: a question, an answer that refuses it, or nothing, when it deserves none. */
export type ParsedQuery = { readonly query: Query } | { readonly refusal: Buffer } | undefined;

const classInternet = 1;
const dnssecOkBit = 0x8000;

/** An answer without records that says only a response code. `question` is copied when there is one. */
export function emptyAnswer(id: number, queryFlags: number, code: number, question?: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(id, 0);
  const kept = queryFlags & (flags.opcode | flags.recursionDesired | flags.checkingDisabled);
  header.writeUInt16BE(kept | flags.response | flags.recursionAvailable | code, 2);
  header.writeUInt16BE(question === undefined ? 0 : 1, 4);
  return question === undefined ? header : Buffer.concat([header, question]);
}

/** Reads a message of a sandbox. */
export function parseQuery(message: Buffer): ParsedQuery {
  const header = readHeader(message);
  if (header === undefined || (header.flags & flags.response) !== 0) return undefined;
  const refuse = (code: number, question?: Buffer): ParsedQuery => ({
    refusal: emptyAnswer(header.id, header.flags, code, question),
  });
  if ((header.flags & flags.opcode) !== 0) return refuse(responseCodes.notImplemented);
  if (header.questions !== 1 || header.answers !== 0 || header.authorities !== 0 || header.additionals > 2)
    return refuse(responseCodes.malformed);
  const nameEnd = skipName(message, headerBytes, false);
  if (nameEnd === undefined || nameEnd + 4 > message.length) return refuse(responseCodes.malformed);
  const question = Buffer.from(message.subarray(headerBytes, nameEnd + 4));
  const type = message.readUInt16BE(nameEnd);
  const records = readRecords(message, nameEnd + 4, header);
  if (records === undefined) return refuse(responseCodes.malformed);
  if (message.readUInt16BE(nameEnd + 2) !== classInternet) return refuse(responseCodes.refused, question);
  if (type === recordTypes.AXFR || type === recordTypes.IXFR || type === recordTypes.ANY || type === recordTypes.OPT)
    return refuse(responseCodes.notImplemented, question);
  const option = records.find((record) => record.type === recordTypes.OPT);
  const edns =
    option === undefined ? undefined : { mostBytes: option.class, dnssecOk: (option.ttl & dnssecOkBit) !== 0 };
  const recursionDesired = (header.flags & flags.recursionDesired) !== 0;
  const checkingDisabled = (header.flags & flags.checkingDisabled) !== 0;
  const variant = [recursionDesired, checkingDisabled, edns !== undefined, edns?.dnssecOk === true]
    .map(Number)
    .join('');
  return {
    query: {
      id: header.id,
      question,
      type,
      recursionDesired,
      checkingDisabled,
      edns,
      key: `${variant}${lowerCased(question)}`,
    },
  };
}

/** Size of UDP answers that survives any path without fragments. */
export const safeUdpBytes = 1232;

/** The question as it goes to an upstream, under an id of our own and with nothing else of what the client sent. */
export function encodeUpstreamQuery(query: Query, id: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(
    (query.recursionDesired ? flags.recursionDesired : 0) | (query.checkingDisabled ? flags.checkingDisabled : 0),
    2,
  );
  header.writeUInt16BE(1, 4);
  if (query.edns === undefined) return Buffer.concat([header, query.question]);
  header.writeUInt16BE(1, 10);
  const option = Buffer.alloc(11);
  option.writeUInt16BE(recordTypes.OPT, 1);
  option.writeUInt16BE(safeUdpBytes, 3);
  option.writeUInt32BE(query.edns.dnssecOk ? dnssecOkBit : 0, 5);
  return Buffer.concat([header, query.question, option]);
}
