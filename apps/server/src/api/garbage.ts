import type { GarbageItem } from '@skerry/model';
import { CollectGarbageBody, type GarbageList, GarbageListSchema } from '@skerry/protocol';
import { Type } from 'typebox';
import { collectGarbage } from '../actions/garbage/collect.ts';
import { listGarbage } from '../actions/garbage/list.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { problemAnswers } from './schemas.ts';

const tags = ['garbage'];
const defaultMinAgeMs = 600_000;

export function garbageRoutes(app: App, core: Core): void {
  app.get(
    '/v1/garbage',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'listGarbage',
        summary: 'What the machine holds and nobody owns',
        tags,
        response: { 200: GarbageListSchema, ...problemAnswers },
      },
    },
    async () => show(await listGarbage(core)),
  );

  app.post(
    '/v1/garbage/collect',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'collectGarbage',
        summary: 'Removes garbage of at least an age; repeating it is fine',
        tags,
        body: Type.Partial(CollectGarbageBody),
        response: { 200: GarbageListSchema, ...problemAnswers },
      },
    },
    async (request) => show(await collectGarbage(core, request.body.minAgeMs ?? defaultMinAgeMs)),
  );
}

function show(items: readonly GarbageItem[]): GarbageList {
  return {
    items: items.map(({ kind, name, reason, ageMs, bytes }) => ({
      kind,
      name,
      reason,
      ageMs: Math.round(ageMs),
      ...(bytes === undefined ? {} : { bytes: Math.round(bytes) }),
    })),
  };
}
