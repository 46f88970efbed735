import { Problem } from '@skerry/model';

/** Query of `/v1/sandboxes/{id}/files`. */
export interface FileQuery {
  readonly path: string;
  /** User inside the sandbox that relative paths and new files belong to. */
  readonly user?: string;
  readonly list: boolean;
  readonly recursive: boolean;
}

const longestPathBytes = 4096;

/** Parses the query. Throws `invalid` and names what is wrong. */
export function parseFileQuery(text: string): FileQuery {
  const query = new URLSearchParams(text);
  const one = (name: string): string | undefined => {
    const values = query.getAll(name);
    if (values.length > 1) throw new Problem('invalid', `"${name}" is given twice`, { reason: 'invalid_query' });
    return values[0];
  };
  const flag = (name: string): boolean => {
    const value = one(name) ?? 'false';
    if (value !== 'true' && value !== 'false')
      throw new Problem('invalid', `"${name}" is neither "true" nor "false"`, { reason: 'invalid_query' });
    return value === 'true';
  };
  const path = one('path') ?? '';
  if (path === '')
    throw new Problem('invalid', 'The query has no "path"', {
      reason: 'missing_path',
      hint: 'Say which file: "?path=/home/user/file".',
    });
  if (path.includes('\0') || Buffer.byteLength(path) > longestPathBytes)
    throw new Problem('invalid', '"path" is longer than 4096 bytes or holds a NUL', { reason: 'invalid_file_path' });
  const user = one('user');
  if (user !== undefined && !/^[a-z_][a-z0-9_-]{0,31}$/.test(user))
    throw new Problem('invalid', '"user" is no user name', { reason: 'invalid_user' });
  return { path, ...(user === undefined ? {} : { user }), list: flag('list'), recursive: flag('recursive') };
}
