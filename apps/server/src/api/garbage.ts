import type { GarbageItem } from '@skerry/model';
import { type GarbageList, GarbageListSchema } from '@skerry/protocol';
import { Type } from 'typebox';
import { collectGarbage } from '../actions/garbage/collect.ts';
import { listGarbage } from '../actions/garbage/list.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { problemAnswers } from './schemas.ts';

const tags = ['garbage'];
const defaultMinAgeMs = 600_000;

const CollectBody = Type.Object(
  {
    minAgeMs: Type.Optional(Type.Integer({ minimum: 0, default: defaultMinAgeMs })),
    unknown: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'Also disks and snapshots that the database never heard of, at this age; they are kept for 7 days otherwise, for a database may be found again.',
      }),
    ),
  },
  { additionalProperties: false },
);

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
        body: CollectBody,
        response: { 200: GarbageListSchema, ...problemAnswers },
      },
    },
    async ({ body }) =>
      show(await collectGarbage(core, { minAgeMs: body.minAgeMs ?? defaultMinAgeMs, unknown: body.unknown ?? false })),
  );
}

function show(items: readonly GarbageItem[]): GarbageList {
  return {
    items: items.map(({ kind, name, reason, owner, ageMs, bytes }) => ({
      kind,
      name,
      reason,
      ...(owner === undefined ? {} : { owner }),
      ageMs: Math.round(ageMs),
      ...(bytes === undefined ? {} : { bytes: Math.round(bytes) }),
    })),
  };
}
