/** What must be true of one Skerry after a sequence of calls: a small model of what was acknowledged. */

/** Content of one state of a sandbox: what was written to its disk, and what a process of it holds in memory. */
export interface Content {
  /** Lines whose write was acknowledged, and lines whose write was cut off (`maybe`), in order. */
  readonly lines: readonly { readonly text: string; readonly maybe: boolean }[];
  /** Words that the live process was given; `undefined` when there may be no such process any more. */
  readonly words: readonly { readonly text: string; readonly maybe: boolean }[] | undefined;
}

export const empty: Content = { lines: [], words: undefined };

/** What a sandbox was last told to be. */
export type Wanted = 'running' | 'paused' | 'stopped';

export interface ModelSandbox {
  readonly id: string;
  wanted: Wanted;
  content: Content;
}

export interface ModelSnapshot {
  readonly id: string;
  readonly content: Content;
}

export interface Model {
  readonly sandboxes: ModelSandbox[];
  readonly snapshots: ModelSnapshot[];
}

/** Says what is wrong when `found` is not a possible outcome of `expected`: every sure entry in its place, the others or nothing. */
export function mismatch(
  expected: readonly { readonly text: string; readonly maybe: boolean }[],
  found: readonly string[],
): string | undefined {
  let at = 0;
  for (const { text, maybe } of expected) {
    if (found[at] === text) at += 1;
    else if (!maybe) return `"${text}" is missing at ${at}: ${JSON.stringify(found)}`;
  }
  return at === found.length ? undefined : `"${found[at]}" was never written there: ${JSON.stringify(found)}`;
}
