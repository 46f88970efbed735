/** One end of a copy: a path on this machine, or in a sandbox. */
export interface Place {
  readonly sandbox?: string;
  readonly path: string;
}

/** Reads `NAME:PATH`, or a local path (with a colon in it: `./a:b`, `/tmp/a:b`). An empty path inside is the home folder. */
export function parsePlace(text: string): Place {
  const match = /^([a-z0-9][a-z0-9-]{0,62}):(.*)$/s.exec(text);
  if (match?.[1] === undefined) return { path: text };
  return { sandbox: match[1], path: match[2] === undefined || match[2] === '' ? '.' : match[2] };
}
