import { isolations } from '@skerry/model';
import { Type } from 'typebox';
import { idSchema, oneOf } from '../ids.ts';

/** Answer of `GET /v1/system`: what runs here. */
export const SystemSchema = Type.Object(
  {
    version: Type.String(),
    instance: Type.String(),
    backend: Type.Object({
      state: oneOf(['ready', 'unavailable']),
      engines: Type.Array(
        Type.Object({
          name: Type.String(),
          version: Type.String(),
          isolation: oneOf(isolations),
          freeze: Type.Boolean(),
          memorySnapshot: Type.Boolean(),
        }),
      ),
      cpus: Type.Number(),
      memoryMiB: Type.Integer(),
      diskFreeBytes: Type.Integer(),
    }),
    sandboxes: Type.Record(Type.String(), Type.Integer(), { description: 'How many sandboxes have each status.' }),
  },
  { $id: 'System' },
);
export type System = Type.Static<typeof SystemSchema>;

export const TemplateSchema = Type.Object(
  {
    id: idSchema('template'),
    name: Type.String(),
    image: Type.String(),
    imageKey: Type.String(),
    sizeBytes: Type.Integer(),
    user: Type.String(),
    workdir: Type.String(),
  },
  { $id: 'Template' },
);
export type Template = Type.Static<typeof TemplateSchema>;
export const TemplateListSchema = Type.Object(
  { items: Type.Array(TemplateSchema), next: Type.Optional(Type.String()) },
  { $id: 'TemplateList' },
);

export const LogSchema = Type.Object({ text: Type.String() }, { $id: 'Log' });

export const GarbageListSchema = Type.Object(
  {
    items: Type.Array(
      Type.Object({
        kind: Type.String(),
        name: Type.String(),
        reason: Type.String(),
        owner: Type.Optional(Type.String({ description: 'Whose it was, as far as it is known.' })),
        ageMs: Type.Integer({ description: 'How long nobody has owned it, as far as it was seen.' }),
        bytes: Type.Optional(Type.Integer()),
      }),
    ),
  },
  { $id: 'GarbageList' },
);
export type GarbageList = Type.Static<typeof GarbageListSchema>;

export const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    reason: Type.String(),
    detail: Type.String(),
    hint: Type.Optional(Type.String()),
    retryable: Type.Boolean(),
    requestId: Type.Optional(Type.String()),
  },
  { $id: 'Problem' },
);
