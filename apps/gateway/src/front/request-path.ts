import { Problem } from '@skerry/model';

/** A request target, taken apart. */
export interface RequestPath {
  /** Decoded segments; a trailing slash gives an empty last one. */
  readonly segments: readonly string[];
  readonly query: string;
}

const refuse = (why: string): Problem =>
  new Problem('invalid', `The path is not valid: ${why}`, { reason: 'invalid_path' });

/** Refuses request targets that are no plain `/path?query`: absolute ones, `*`, fragments and bytes outside of printable ASCII. */
export function checkRequestTarget(target: string): void {
  if (!target.startsWith('/')) throw refuse('it does not begin with "/"');
  if (target.includes('#') || !/^[\x21-\x7e]*$/.test(target)) throw refuse('it has characters that must be encoded');
}

/**
 * Parses a path that rules are applied to. What two readers could read differently is refused, not repaired: dot segments and empty
 * ones, encoded slashes, encoded control characters, backslashes.
 */
export function parseRequestPath(target: string): RequestPath {
  checkRequestTarget(target);
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  if (path.includes('\\') || path.includes(';')) throw refuse('it holds "\\" or ";"');
  const segments = path.slice(1).split('/').map(decodeSegment);
  for (const [index, segment] of segments.entries()) {
    if (segment === '.' || segment === '..') throw refuse('it has "." or ".." as a segment');
    if (segment === '' && index < segments.length - 1) throw refuse('it has an empty segment');
  }
  return { segments, query: mark < 0 ? '' : target.slice(mark + 1) };
}

function decodeSegment(segment: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    throw refuse('its "%" encoding is broken');
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  if (/[\x00-\x1f\x7f/\\]/.test(decoded)) throw refuse('it has an encoded slash, backslash or control character');
  return decoded;
}
