import { emptyAnswer, type Query, safeUdpBytes } from './query.ts';
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

/** An upstream's answer, kept as it came. */
export interface Answer {
  readonly message: Buffer;
  readonly responseCode: number;
  readonly truncated: boolean;
  /** Where the records' times to live are, with their values in seconds. */
  readonly ttls: readonly { readonly offset: number; readonly seconds: number }[];
  /** Seconds for which the answer may be given again; 0 for not at all. */
  readonly keepSeconds: number;
}

const mostKeepSeconds = 3600;
const mostKeepNothingSeconds = 300;

/** Reads a message as the answer to `query` under `id`; `undefined` when it is none. */
export function parseAnswer(message: Buffer, query: Query, id: number): Answer | undefined {
  const header = readHeader(message);
  if (header === undefined || header.id !== id || (header.flags & flags.response) === 0) return undefined;
  if (header.questions !== 1) return undefined;
  const nameEnd = skipName(message, headerBytes, false);
  if (nameEnd === undefined || nameEnd + 4 > message.length) return undefined;
  if (lowerCased(message.subarray(headerBytes, nameEnd + 4)) !== lowerCased(query.question)) return undefined;
  const responseCode = header.flags & flags.responseCode;
  const truncated = (header.flags & flags.truncated) !== 0;
  const records = readRecords(message, nameEnd + 4, header);
  if (records === undefined) {
    // An upstream may cut a truncated answer anywhere: it only says that TCP has the whole.
    return truncated ? { message, responseCode, truncated, ttls: [], keepSeconds: 0 } : undefined;
  }
  const timed = records.filter((record) => record.type !== recordTypes.OPT);
  const ttls = timed.map((record) => ({ offset: record.ttlOffset, seconds: record.ttl }));
  let keepSeconds = 0;
  if (!truncated && responseCode === responseCodes.noError && header.answers > 0) {
    keepSeconds = Math.min(mostKeepSeconds, ...ttls.map(({ seconds }) => seconds));
  } else if (!truncated && (responseCode === responseCodes.noError || responseCode === responseCodes.nameUnknown)) {
    // RFC 2308: what does not exist is kept as long as the zone's SOA says.
    const authority = timed.find((record) => record.section === 'authority' && record.type === recordTypes.SOA);
    if (authority !== undefined && authority.dataLength >= 20) {
      const minimum = message.readUInt32BE(authority.dataOffset + authority.dataLength - 4);
      keepSeconds = Math.min(mostKeepNothingSeconds, authority.ttl, minimum);
    }
  }
  return { message, responseCode, truncated, ttls, keepSeconds };
}

/** The answer as this client gets it: its own id, its own spelling of the name, and times to live less the age of the answer. */
export function encodeForClient(answer: Answer, query: Query, ageSeconds: number): Buffer {
  const message = Buffer.from(answer.message);
  message.writeUInt16BE(query.id, 0);
  query.question.copy(message, headerBytes);
  for (const { offset, seconds } of answer.ttls) message.writeUInt32BE(Math.max(0, seconds - ageSeconds), offset);
  return message;
}

function flagsOf(query: Query): number {
  return (query.recursionDesired ? flags.recursionDesired : 0) | (query.checkingDisabled ? flags.checkingDisabled : 0);
}

/** An answer without records for a question. */
export function emptyAnswerTo(query: Query, responseCode: number): Buffer {
  return emptyAnswer(query.id, flagsOf(query), responseCode, query.question);
}

/** Fits an answer into what the client takes by UDP: one that is too long becomes a truncated one, and the client asks again by TCP. */
export function fitToUdp(message: Buffer, query: Query): Buffer {
  const most = Math.min(safeUdpBytes, Math.max(512, query.edns?.mostBytes ?? 512));
  return message.length <= most ? message : emptyAnswer(query.id, flagsOf(query), flags.truncated, query.question);
}
