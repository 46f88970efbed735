import { Problem, type SandboxId } from '@skerry/model';
import type { EventType } from '@skerry/protocol';
import type { SandboxPatch, SandboxRecord, StoreNouns } from '@skerry/store';
import type { Undone } from './changes.ts';
import type { Core } from './core.ts';

/** A change of a sandbox with the event that tells of it; both are written together. */
export interface Amendment {
  readonly patch: SandboxPatch;
  readonly event?: {
    readonly type: EventType;
    readonly reason?: string;
    readonly message: string;
    readonly data?: Readonly<Record<string, unknown>>;
  };
  /** Why what was asked of the sandbox is not done, for those who wait for it. */
  readonly failure?: { readonly undone: Undone; readonly problem: Problem };
}

const mostTries = 20;

/**
 * Reads a sandbox, decides, and writes the decision with its event in one transaction; decides again when somebody else wrote meanwhile.
 * `decide` may write more through `nouns`; `undefined` leaves the sandbox as it is. Throws `not_found` when there is no such row.
 */
export async function amend(
  core: Core,
  id: SandboxId,
  decide: (record: SandboxRecord, nouns: StoreNouns) => Promise<Amendment | undefined> | Amendment | undefined,
): Promise<SandboxRecord> {
  for (let tries = 1; ; tries++) {
    try {
      const [record, changed, failure] = await core.store.transaction(async (nouns) => {
        const current = await nouns.sandboxes.find(id);
        if (current === undefined)
          throw new Problem('not_found', `There is no sandbox "${id}"`, { reason: 'sandbox_not_found' });
        const amendment = await decide(current, nouns);
        if (amendment === undefined) return [current, false] as const;
        const next = await nouns.sandboxes.change(current, amendment.patch);
        if (amendment.event !== undefined)
          await nouns.events.append({ projectId: next.projectId, sandboxId: id, atMs: Date.now(), ...amendment.event });
        return [next, true, amendment.failure] as const;
      });
      if (failure !== undefined) core.changes.fail(id, failure.undone, failure.problem, record.version);
      if (changed) core.changes.publish(record);
      return record;
    } catch (error) {
      if (tries >= mostTries || !(error instanceof Problem) || error.reason !== 'changed_meanwhile') throw error;
    }
  }
}
