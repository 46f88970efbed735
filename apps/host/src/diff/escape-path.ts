/** Names are bytes that a sandbox chose. What is no text, or would act on a terminal, is written as `\xHH`, and a backslash as `\\`. */

/** Control characters, and those that turn the direction of a line. */
const unfit = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const plain = /^[ -[\]-~]*$/;
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Writes a path, given as one character a byte, as text. Different paths stay different. */
export function escapePath(latin1: string): string {
  if (plain.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, 'latin1');
  try {
    return Array.from(decoder.decode(bytes), (character) =>
      character === '\\' ? '\\\\' : unfit.test(character) ? escapeBytes(Buffer.from(character)) : character,
    ).join('');
  } catch {
    // Not all of it is UTF-8: the valid parts keep their form.
    return escapeMixed(bytes);
  }
}

function escapeMixed(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find((bytesLong) => isText(bytes.subarray(at, at + bytesLong)));
    const part = bytes.subarray(at, at + (length ?? 1));
    text += length === undefined ? escapeBytes(part) : escapePath(part.toString('latin1'));
    at += part.length;
  }
  return text;
}

function isText(bytes: Buffer): boolean {
  try {
    return decoder.decode(bytes).length > 0;
  } catch {
    return false;
  }
}

function escapeBytes(bytes: Buffer): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
