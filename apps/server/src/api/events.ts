import { EventListSchema, eventTypes, ListQuery, type EventList } from '@skerry/protocol';
import type { EventRecord, Page } from '@skerry/store';
import { Problem } from '@skerry/model';
import { findSandbox } from '../actions/sandbox/find.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { problemAnswers, SandboxParams } from './schemas.ts';

const defaultLimit = 50;
const tags = ['events'];

export function eventRoutes(app: App, core: Core): void {
  app.get(
    '/v1/events',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listEvents',
        summary: 'Events of the project, oldest first',
        tags,
        querystring: ListQuery,
        response: { 200: EventListSchema, ...problemAnswers },
      },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      return show(
        await core.store.events.list({ projectId: request.caller.projectId }, { limit: limit ?? defaultLimit, cursor }),
      );
    },
  );

  app.get(
    '/v1/sandboxes/:sandbox/events',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listSandboxEvents',
        summary: 'What happened to a sandbox, oldest first',
        tags,
        params: SandboxParams,
        querystring: ListQuery,
        response: { 200: EventListSchema, ...problemAnswers },
      },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      const { id: sandboxId, projectId } = await findSandbox(core, request.caller, request.params.sandbox);
      return show(await core.store.events.list({ projectId, sandboxId }, { limit: limit ?? defaultLimit, cursor }));
    },
  );
}

function show(page: Page<EventRecord>): EventList {
  return {
    ...page,
    items: page.items.map((event) => {
      const type = eventTypes.find((candidate) => candidate === event.type);
      if (type === undefined)
        throw new Problem('internal', `The event "${event.id}" has the unknown type "${event.type}"`);
      return {
        id: event.id,
        type,
        sandboxId: event.sandboxId,
        at: new Date(event.atMs).toISOString(),
        ...(event.reason === undefined ? {} : { reason: event.reason }),
        message: event.message,
        data: { ...event.data },
      };
    }),
  };
}
