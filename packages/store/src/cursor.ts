import { Problem } from '@skerry/model';

/** One page of a list. `next` is the cursor of the following page; absent on the last one. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

/** Writes the place in a list as opaque text. `kind` keeps cursors of different lists apart. */
export function encodeCursor(kind: string, time: number, id = ''): string {
  return Buffer.from(`${kind}:${time}:${id}`).toString('base64url');
}

/** Reads what `encodeCursor` wrote. Throws `invalid` for anything else. */
export function decodeCursor(kind: string, cursor: string): { readonly time: number; readonly id: string } {
  const match = /^([a-z]+):(\d{1,16}):([a-z0-9]*)$/.exec(Buffer.from(cursor, 'base64url').toString());
  if (match === null || match[1] !== kind)
    throw new Problem('invalid', 'The cursor is not one of this list', {
      reason: 'invalid_cursor',
      hint: 'Pass "next" of the page before, or no cursor for the first page.',
    });
  return { time: Number(match[2]), id: match[3] ?? '' };
}

/** Cuts one row more than a page holds into the page and its cursor. */
export function toPage<T>(rows: readonly T[], limit: number, cursorOf: (last: T) => string): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return rows.length > limit && last !== undefined ? { items, next: cursorOf(last) } : { items };
}
