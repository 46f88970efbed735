import { SystemSchema, TemplateListSchema } from '@skerry/protocol';
import { Type } from 'typebox';
import { describeSystem } from '../actions/system/describe.ts';
import { listTemplates } from '../actions/system/list-templates.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { problemAnswers } from './schemas.ts';

const tags = ['system'];

export function systemRoutes(app: App, core: Core): void {
  app.get(
    '/health',
    {
      schema: {
        operationId: 'health',
        summary: 'Whether the front door and the server answer; needs no key',
        tags,
        security: [],
        response: {
          200: Type.Object({ gateway: Type.Optional(Type.String()), server: Type.String() }, { $id: 'Health' }),
        },
      },
    },
    async () => ({ server: 'ok' }),
  );

  app.get(
    '/v1/system',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'describeSystem',
        summary: 'What runs here',
        tags,
        response: { 200: SystemSchema, ...problemAnswers },
      },
    },
    async (request) => describeSystem(core, request.caller),
  );

  app.get(
    '/v1/templates',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listTemplates',
        summary: 'What sandboxes can be made from',
        tags,
        response: { 200: TemplateListSchema, ...problemAnswers },
      },
    },
    async () => ({ items: await listTemplates(core) }),
  );
}
