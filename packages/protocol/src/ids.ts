import { type Id, type IdNoun, idPrefixes } from '@skerry/model';
import { Type } from 'typebox';

/** Schema of an id of one noun. */
export function idSchema<N extends IdNoun>(noun: N): Type.TUnsafe<Id<N>> {
  return Type.Unsafe<Id<N>>(Type.String({ pattern: `^${idPrefixes[noun]}[a-z0-9]{20}$` }));
}

/** Schema of one of some fixed words. */
export function oneOf<const W extends readonly string[]>(
  words: W,
  options: Type.TSchemaOptions = {},
): Type.TUnsafe<W[number]> {
  return Type.Unsafe<W[number]>({ type: 'string', enum: [...words], ...options });
}
