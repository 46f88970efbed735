import type { OwnerBlob } from '@skerry/model';

/** Fields whose values may be secrets. */
const secret = /^env$|environment|token|secret|password|passwd|credential|(?:api|private|access|master)_?key/i;

/** The owner blob without what may be a secret, at any depth: an export may be given away. */
export function stripOwner(owner: OwnerBlob): OwnerBlob {
  return { version: owner.version, project: owner.project, sandbox: strip(owner.sandbox) as Record<string, unknown> };
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => (secret.test(name) ? [] : [[name, strip(inner)]])),
  );
}
