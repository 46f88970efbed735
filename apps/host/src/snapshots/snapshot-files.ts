/** What a snapshot does to the file system, each a step that may fail by itself. Paths are the daemon's own. */
import { mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runCommand, syncDirectory, writeFileAtomic } from '@skerry/kit';
import { snapshotSubvolume } from '../store/btrfs.ts';
import { sealMemory } from './memory-files.ts';
import type { MemoryFile } from './snapshot-record.ts';

export interface SnapshotFiles {
  makeDirectory(path: string): Promise<void>;
  /** Makes a read-only copy of a tree at this instant; durable when it returns. */
  copyTree(source: string, target: string): Promise<void>;
  /** Copies memory files that share their space with the source. */
  copyMemory(source: string, target: string): Promise<void>;
  /** Makes memory files durable and describes them. */
  sealMemory(directory: string): Promise<MemoryFile[]>;
  /** Writes a small file, durable when it returns. */
  writeRecord(path: string, content: string): Promise<void>;
  /** Gives a directory its name, durable when it returns. */
  publish(from: string, to: string): Promise<void>;
}

const copyDeadlineMs = 600_000;

/** On btrfs. */
export const btrfsSnapshotFiles: SnapshotFiles = {
  async makeDirectory(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  async copyTree(source, target) {
    await snapshotSubvolume(source, target, { readOnly: true });
  },
  async copyMemory(source, target) {
    for (const name of await readdir(source))
      await runCommand('cp', ['--reflink=always', '--', join(source, name), join(target, name)], {
        deadlineMs: copyDeadlineMs,
      });
  },
  sealMemory,
  writeRecord: (path, content) => writeFileAtomic(path, content),
  async publish(from, to) {
    await rename(from, to);
    await syncDirectory(dirname(to));
  },
};
