import { randomBytes } from 'node:crypto';

/** The prefix of each noun's ids. */
export const idPrefixes = {
  sandbox: 'sb',
  boot: 'bt',
  disk: 'dk',
  image: 'im',
  template: 'tp',
  snapshot: 'sn',
  project: 'pj',
  key: 'ky',
  event: 'ev',
  host: 'ho',
  hold: 'hd',
} as const;

/** A noun that has ids. */
export type IdNoun = keyof typeof idPrefixes;

/** An id of one noun: its prefix and 20 random characters of `[a-z0-9]`. A DNS label, without dash or underscore. */
export type Id<N extends IdNoun> = string & { readonly __noun: N };

export type SandboxId = Id<'sandbox'>;
export type BootId = Id<'boot'>;
export type DiskId = Id<'disk'>;
export type ImageId = Id<'image'>;
export type TemplateId = Id<'template'>;
export type SnapshotId = Id<'snapshot'>;
export type ProjectId = Id<'project'>;
export type KeyId = Id<'key'>;
export type EventId = Id<'event'>;
export type HostId = Id<'host'>;
export type HoldId = Id<'hold'>;

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
const randomLength = 20;
const patterns = Object.fromEntries(
  Object.entries(idPrefixes).map(([noun, prefix]) => [noun, new RegExp(`^${prefix}[a-z0-9]{${randomLength}}$`)]),
) as Record<IdNoun, RegExp>;
const anyId = new RegExp(`^(?:${Object.values(idPrefixes).join('|')})[a-z0-9]{${randomLength}}$`);

/** Random characters of `[a-z0-9]`, uniformly drawn. */
export function randomLabel(length: number): string {
  let label = '';
  while (label.length < length) {
    for (const byte of randomBytes(length * 2)) {
      // 252 is the largest multiple of 36 below 256: what lies above would favour the first letters.
      if (byte < 252 && label.length < length) label += alphabet[byte % 36];
    }
  }
  return label;
}

/** Makes a new id of a noun. */
export function newId<N extends IdNoun>(noun: N): Id<N> {
  return `${idPrefixes[noun]}${randomLabel(randomLength)}` as Id<N>;
}

/** Says whether a text is an id of this noun. */
export function isId<N extends IdNoun>(noun: N, text: string): text is Id<N> {
  return patterns[noun].test(text);
}

/** Says whether a text has the form of any noun's id; such a text may not be a name. */
export function looksLikeId(text: string): boolean {
  return anyId.test(text);
}
