import { DiffQuery, DiffSchema } from '@skerry/protocol';
import { findState } from '../actions/diff/find-state.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { goneSignal } from './call.ts';
import { problemAnswers } from './schemas.ts';

const defaultLimit = 10_000;

export function diffRoutes(app: App, core: Core): void {
  app.get(
    '/v1/diff',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'diff',
        summary: 'Files that differ between two sandboxes or snapshots',
        tags: ['snapshots'],
        querystring: DiffQuery,
        response: { 200: DiffSchema, ...problemAnswers },
      },
    },
    async (request) => {
      const { from, to, limit } = request.query;
      const before = await findState(core, request.caller, from);
      const after = await findState(core, request.caller, to);
      const { changes, truncated } = await core.backend.diff(before, after, limit ?? defaultLimit, goneSignal(request));
      return { changes: [...changes], truncated };
    },
  );
}
