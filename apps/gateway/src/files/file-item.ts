import type { EntryInfo } from '@skerry/protocol';

/** One entry of a folder, as `/v1` shows it. */
export interface FileItem {
  readonly name: string;
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Bytes. */
  readonly size: number;
  /** Permission bits, such as 0o644. */
  readonly mode: number;
  readonly owner: string;
  readonly group: string;
  readonly modifiedAt: string;
  /** Where a symbolic link points. */
  readonly target?: string;
}

/** Makes an entry of `/v1` from the guest's. */
export function fileItem(entry: EntryInfo): FileItem {
  const kind = /^FILE_TYPE_(FILE|DIRECTORY|SYMLINK)$/.exec(entry.type)?.[1]?.toLowerCase();
  return {
    name: entry.name,
    path: entry.path,
    type:
      entry.symlinkTarget !== undefined
        ? 'symlink'
        : kind === 'file' || kind === 'directory' || kind === 'symlink'
          ? kind
          : 'other',
    size: Number(entry.size ?? 0),
    mode: (entry.mode ?? 0) & 0o7777,
    owner: entry.owner ?? '',
    group: entry.group ?? '',
    modifiedAt: entry.modifiedTime ?? '',
    ...(entry.symlinkTarget === undefined ? {} : { target: entry.symlinkTarget }),
  };
}
