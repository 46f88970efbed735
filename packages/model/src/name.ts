import { looksLikeId } from './id.ts';
import { Problem } from './problem.ts';

/** Names of sandboxes and templates: DNS labels of at most 63 characters that do not look like ids. */
export const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Checks a name that a user chose. Throws `invalid` and says what is allowed. */
export function checkName(name: string): string {
  if (!namePattern.test(name))
    throw new Problem('invalid', `The name "${name.slice(0, 80)}" is not allowed`, {
      reason: 'invalid_name',
      hint: 'Use 1 to 63 of a-z, 0-9 and "-", beginning and ending with a letter or a digit.',
    });
  if (looksLikeId(name))
    throw new Problem('invalid', `The name "${name}" looks like an id`, {
      reason: 'invalid_name',
      hint: 'Choose another name.',
    });
  return name;
}
