/** Compares two states of a disk by walking both trees side by side, in the order of their names. */
import type { BigIntStats } from 'node:fs';
import { constants } from 'node:fs/promises';
import { type DiskChange, type DiskDiff, Problem } from '@skerry/model';
import { Attributes } from './attributes.ts';
import { escapePath } from './escape-path.ts';
import { OpenDirectory } from './open-directory.ts';

export interface DiffOptions {
  /**
   * Unix time in `ms` until which both trees were one, such as the instant of the snapshot that one of them is. A file that has the same inode number
   * and the same change time in both, from well before that, is the same: every later change would have given it a later time. Without it all
   * files that look alike are read.
   */
  readonly oneUntilMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What a change just before the trees parted may have been given for a time: a store to mapped memory after its page was written out for the snapshot
 * keeps the time of the fault.
 */
const partingMs = 60_000;
const mostDepth = 1000;
const entriesAtOnce = 64;
const readBytes = 256 * 1024;

/** At most `limit` changes. Throws `precondition_failed` for a tree that is too deep. */
export async function collectDiff(changes: AsyncIterable<DiskChange>, limit: number): Promise<DiskDiff> {
  const found: DiskChange[] = [];
  for await (const change of changes) {
    if (found.length === limit) return { changes: found, truncated: true };
    found.push(change);
  }
  return { changes: found, truncated: false };
}

/**
 * What is different in `after`, as it is found: a directory before what is in it, names in the order of their bytes. Content, size, owner, mode, time of
 * the last change (not of directories) and extended attributes count; the number of hard links does not. Never follows a link. A tree that is in use
 * may be compared; what changes in it meanwhile is seen or not.
 */
export async function* diffTrees(
  before: string,
  after: string,
  options: DiffOptions = {},
): AsyncGenerator<DiskChange, void, undefined> {
  await using attributes = new Attributes();
  await using old = await OpenDirectory.open(before);
  await using now = await OpenDirectory.open(after);
  const walk = new Walk(attributes, options);
  if (
    await walk.differs(
      { directory: old, name: '.', stat: await old.ownStat() },
      { directory: now, name: '.', stat: await now.ownStat() },
    )
  )
    yield { change: 'changed', path: '/', type: 'directory', bytes: Number((await now.ownStat()).size) };
  yield* walk.directories('', old, now, 0);
}

/** One entry of one tree. */
interface Entry {
  readonly directory: OpenDirectory;
  readonly name: string;
  readonly stat: BigIntStats;
}

class Walk {
  readonly #attributes: Attributes;
  readonly #safeBeforeNs: bigint;
  readonly #signal: AbortSignal | undefined;

  constructor(attributes: Attributes, { oneUntilMs, signal }: DiffOptions) {
    this.#attributes = attributes;
    this.#safeBeforeNs = oneUntilMs === undefined ? 0n : BigInt(Math.floor(oneUntilMs) - partingMs) * 1_000_000n;
    this.#signal = signal;
  }

  /** Compares what is in two directories; one that is absent counts as empty. */
  async *directories(
    path: string,
    old: OpenDirectory | undefined,
    now: OpenDirectory | undefined,
    depth: number,
  ): AsyncGenerator<DiskChange, void, undefined> {
    if (depth > mostDepth)
      throw new Problem('precondition_failed', `The directories are nested more than ${mostDepth} deep`, {
        reason: 'tree_too_deep',
      });
    const names = merge((await old?.names()) ?? [], (await now?.names()) ?? []);
    for (let at = 0; at < names.length; at += entriesAtOnce) {
      this.#signal?.throwIfAborted();
      const some = names.slice(at, at + entriesAtOnce);
      const entries = await Promise.all(
        some.map(async (name) => {
          const [a, b] = await Promise.all([find(old, name), find(now, name)]);
          return { name, a, b, differs: a !== undefined && b !== undefined && (await this.differs(a, b)) };
        }),
      );
      for (const { name, a, b, differs } of entries) {
        const here = `${path}/${name}`;
        if (a === undefined && b !== undefined) yield describe('added', here, b);
        else if (a !== undefined && b === undefined) yield describe('deleted', here, a);
        else if (b !== undefined && differs) yield describe('changed', here, b);
        yield* this.#within(here, a, b, depth);
      }
    }
  }

  /** Compares what is in two entries, as far as they are directories. */
  async *#within(
    path: string,
    old: Entry | undefined,
    now: Entry | undefined,
    depth: number,
  ): AsyncGenerator<DiskChange, void, undefined> {
    const within = async (entry: Entry | undefined): Promise<OpenDirectory | undefined> =>
      entry?.stat.isDirectory() === true ? entry.directory.openDirectory(entry.name) : undefined;
    await using oldWithin = await within(old);
    await using nowWithin = await within(now);
    if (oldWithin !== undefined || nowWithin !== undefined)
      yield* this.directories(path, oldWithin, nowWithin, depth + 1);
  }

  async differs(old: Entry, now: Entry): Promise<boolean> {
    const [a, b] = [old.stat, now.stat];
    if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || a.rdev !== b.rdev) return true;
    const isDirectory = a.isDirectory();
    if (!isDirectory && (a.size !== b.size || a.mtimeNs !== b.mtimeNs) && !a.isSymbolicLink()) return true;
    if (a.ino === b.ino && a.ctimeNs === b.ctimeNs && a.ctimeNs < this.#safeBeforeNs) return false;
    if (a.isSymbolicLink() && (await old.directory.link(old.name)) !== (await now.directory.link(now.name)))
      return true;
    if (!(await this.#attributes.same(old.directory.outerPath(old.name), now.directory.outerPath(now.name))))
      return true;
    return a.isFile() && a.size > 0n && !(await this.#sameContent(old, now));
  }

  async #sameContent(old: Entry, now: Entry): Promise<boolean> {
    const [a, b] = await Promise.all([old.directory.openFile(old.name), now.directory.openFile(now.name)]);
    try {
      if (a === undefined || b === undefined) return false;
      const bytes = Number(old.stat.size < readBytes ? old.stat.size + 1n : readBytes);
      const [left, right] = [Buffer.allocUnsafe(bytes), Buffer.allocUnsafe(bytes)];
      for (let position = 0; ; ) {
        this.#signal?.throwIfAborted();
        const [first, second] = await Promise.all([
          a.read(left, 0, bytes, position),
          b.read(right, 0, bytes, position),
        ]);
        if (first.bytesRead !== second.bytesRead) return false;
        if (first.bytesRead === 0) return true;
        if (left.compare(right, 0, second.bytesRead, 0, first.bytesRead) !== 0) return false;
        position += first.bytesRead;
      }
    } finally {
      await Promise.all([a?.close(), b?.close()]);
    }
  }
}

async function find(directory: OpenDirectory | undefined, name: string): Promise<Entry | undefined> {
  const stat = await directory?.stat(name);
  return directory === undefined || stat === undefined ? undefined : { directory, name, stat };
}

/** Names of both, sorted, each once. */
function merge(a: readonly string[], b: readonly string[]): string[] {
  const all: string[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const [left, right] = [a[i], b[j]];
    if (right === undefined || (left !== undefined && left <= right)) {
      all.push(left ?? '');
      i++;
      if (left === right) j++;
    } else {
      all.push(right);
      j++;
    }
  }
  return all;
}

function describe(change: DiskChange['change'], path: string, { stat }: Entry): DiskChange {
  const kind = Number(stat.mode) & constants.S_IFMT;
  const type =
    kind === constants.S_IFREG
      ? 'file'
      : kind === constants.S_IFDIR
        ? 'directory'
        : kind === constants.S_IFLNK
          ? 'symlink'
          : 'other';
  return { change, path: escapePath(path), type, bytes: Number(stat.size) };
}
