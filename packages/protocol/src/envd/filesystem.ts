/** Messages of the guest's filesystem service as JSON. */

export const filesystemPaths = {
  stat: '/filesystem.Filesystem/Stat',
  makeDir: '/filesystem.Filesystem/MakeDir',
  move: '/filesystem.Filesystem/Move',
  listDir: '/filesystem.Filesystem/ListDir',
  remove: '/filesystem.Filesystem/Remove',
  watchDir: '/filesystem.Filesystem/WatchDir',
} as const;

export interface EntryInfo {
  readonly name: string;
  readonly type: 'FILE_TYPE_FILE' | 'FILE_TYPE_DIRECTORY' | 'FILE_TYPE_SYMLINK' | 'FILE_TYPE_UNSPECIFIED';
  readonly path: string;
  /** Bytes, as a decimal string. */
  readonly size?: string;
  readonly mode?: number;
  readonly permissions?: string;
  readonly owner?: string;
  readonly group?: string;
  readonly modifiedTime?: string;
  readonly symlinkTarget?: string;
}
