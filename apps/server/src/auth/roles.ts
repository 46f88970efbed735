import { Problem } from '@skerry/model';
import type { KeyRole } from '@skerry/protocol';

const ranks: Record<KeyRole, number> = { viewer: 0, member: 1, admin: 2 };

/** Throws `forbidden` when a role allows less than what is needed. */
export function requireRole(role: KeyRole, least: KeyRole): void {
  if (ranks[role] < ranks[least])
    throw new Problem('forbidden', `This key has the role "${role}", and the call needs "${least}"`, {
      reason: 'role_too_weak',
      hint: `Use a key with the role "${least}": "skerry key create NAME --role ${least}".`,
    });
}
