import { type Id, type IdNoun, isId, Problem } from '@skerry/model';
import type { JsonRequest } from '@skerry/protocol';

/** The id of a noun in a path. Throws `invalid` for what is none: nothing else may become part of a file name. */
export function pathId<N extends IdNoun>(request: JsonRequest, noun: N): Id<N> {
  const text = request.params[`${noun}Id`] ?? '';
  if (isId(noun, text)) return text;
  throw new Problem('invalid', `"${text.slice(0, 80)}" is no ${noun} id`, { reason: 'invalid_id' });
}
