import { CreateKeyBody, KeyListSchema, KeySchema, ListQuery } from '@skerry/protocol';
import { Type } from 'typebox';
import { createKey } from '../actions/key/create.ts';
import { revokeKey } from '../actions/key/revoke.ts';
import { showKey } from '../actions/key/show.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { repeatableOf } from './call.ts';
import { problemAnswers, RepeatableHeaders } from './schemas.ts';

const tags = ['keys'];
const defaultLimit = 50;

export function keyRoutes(app: App, core: Core): void {
  app.get(
    '/v1/keys',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'listKeys',
        summary: 'Keys of the project, without the keys themselves',
        tags,
        querystring: ListQuery,
        response: { 200: KeyListSchema, ...problemAnswers },
      },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      const page = await core.store.keys.list(request.caller.projectId, { limit: limit ?? defaultLimit, cursor });
      return { ...page, items: page.items.map(showKey) };
    },
  );

  app.post(
    '/v1/keys',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'createKey',
        summary: 'Makes a key; it is shown in this answer only',
        tags,
        headers: RepeatableHeaders,
        body: CreateKeyBody,
        response: { 201: KeySchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      const key = await createKey(core, request.caller, request.body, repeatableOf(request));
      return reply.status(201).send(key);
    },
  );

  app.delete(
    '/v1/keys/:key',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'revokeKey',
        summary: 'Revokes a key at once',
        tags,
        params: Type.Object({ key: Type.String() }),
        response: { 200: KeySchema, ...problemAnswers },
      },
    },
    async (request) => revokeKey(core, request.caller, request.params.key),
  );
}
