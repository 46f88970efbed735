import { Problem, type SandboxStatus, sandboxStatuses } from '@skerry/model';
import type { Page, SandboxRecord } from '@skerry/store';
import type { Caller } from '../../auth/key-cache.ts';
import type { Core } from '../../core.ts';

export interface ListSandboxes {
  readonly status?: string | undefined;
  readonly label?: string | undefined;
  readonly name?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** The project's sandboxes, newest first. */
export async function listSandboxes(core: Core, caller: Caller, query: ListSandboxes): Promise<Page<SandboxRecord>> {
  return core.store.sandboxes.list(caller.projectId, {
    statuses: query.status === undefined ? undefined : parseStatuses(query.status),
    labels: query.label === undefined ? undefined : parseLabels(query.label),
    name: query.name,
    limit: query.limit ?? 50,
    cursor: query.cursor,
  });
}

function parseStatuses(text: string): SandboxStatus[] {
  return text.split(',').map((word) => {
    const status = sandboxStatuses.find((candidate) => candidate === word);
    if (status === undefined)
      throw new Problem('invalid', `"${word.slice(0, 40)}" is no status`, {
        reason: 'invalid_query',
        hint: `Statuses are ${sandboxStatuses.join(', ')}.`,
      });
    return status;
  });
}

function parseLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1)
        throw new Problem('invalid', `"${pair.slice(0, 80)}" is no label filter`, {
          reason: 'invalid_query',
          hint: 'Write key=value, several joined by commas.',
        });
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    }),
  );
}
