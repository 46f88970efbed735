import {
  exitReasons,
  isolations,
  namePattern,
  resourceBounds,
  sandboxKinds,
  sandboxStatuses,
  timeoutActions,
} from '@skerry/model';
import { Type } from 'typebox';
import { idSchema, oneOf } from '../ids.ts';

const closed = { additionalProperties: false };
const NameSchema = Type.String({
  pattern: namePattern.source,
  description: 'A DNS label that does not look like an id.',
});
export const LabelsSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$' }),
  Type.String({ maxLength: 256 }),
  closed,
);
export const EnvSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }),
  Type.String({ maxLength: 131072 }),
  closed,
);
const bounds = (key: keyof typeof resourceBounds): { minimum: number; maximum: number } => ({
  minimum: resourceBounds[key].least,
  maximum: resourceBounds[key].most,
});

/** Body of `POST /v1/sandboxes`. Everything has a default. */
export const CreateSandboxBody = Type.Object(
  {
    name: Type.Optional(NameSchema),
    kind: Type.Optional(oneOf(sandboxKinds, { default: 'persistent' })),
    template: Type.Optional(Type.String({ default: 'base', pattern: '^[a-z0-9][a-z0-9-]{0,62}$' })),
    cpus: Type.Optional(Type.Number(bounds('cpus'))),
    memoryMiB: Type.Optional(Type.Integer(bounds('memoryMiB'))),
    diskMiB: Type.Optional(Type.Integer(bounds('diskMiB'))),
    env: Type.Optional(EnvSchema),
    labels: Type.Optional(LabelsSchema),
    isolation: Type.Optional(oneOf([...isolations, 'any'], { default: 'any' })),
    timeoutMs: Type.Optional(
      Type.Integer({ minimum: 1000, description: 'Time from now after which `onTimeout` happens; none by default.' }),
    ),
    onTimeout: Type.Optional(oneOf(timeoutActions, { default: 'stop' })),
  },
  closed,
);
export type CreateSandboxBody = Type.Static<typeof CreateSandboxBody>;

export const BootExitSchema = Type.Object({
  reason: oneOf(exitReasons),
  status: Type.Optional(Type.Integer()),
  detail: Type.String(),
  at: Type.String({ format: 'date-time' }),
});

/** A sandbox as the API shows it. */
export const SandboxSchema = Type.Object(
  {
    id: idSchema('sandbox'),
    project: idSchema('project'),
    name: Type.String(),
    kind: oneOf(sandboxKinds),
    status: oneOf(sandboxStatuses),
    reason: Type.String({ description: 'A stable word for why it has this status.' }),
    template: Type.String(),
    cpus: Type.Number(),
    memoryMiB: Type.Integer(),
    diskMiB: Type.Integer(),
    env: EnvSchema,
    labels: LabelsSchema,
    engine: Type.Optional(
      Type.Object(
        { name: Type.String(), version: Type.String(), isolation: oneOf(isolations) },
        { description: 'Which engine runs or last ran it, and how it isolates.' },
      ),
    ),
    failure: Type.Optional(
      Type.Object({
        reason: Type.String(),
        message: Type.String(),
        remains: Type.Array(Type.String()),
        hint: Type.String(),
      }),
    ),
    lastExit: Type.Optional(BootExitSchema),
    createdAt: Type.String({ format: 'date-time' }),
    startedAt: Type.Optional(Type.String({ format: 'date-time', description: 'Start of the boot that runs now.' })),
    timeoutAt: Type.Optional(Type.String({ format: 'date-time' })),
    onTimeout: oneOf(timeoutActions),
    deletedAt: Type.Optional(Type.String({ format: 'date-time' })),
    accessToken: Type.Optional(
      Type.String({
        description: "Token for the sandbox's guest (`X-Access-Token`). Not in lists, and not for viewers.",
      }),
    ),
  },
  { $id: 'Sandbox' },
);
export type Sandbox = Type.Static<typeof SandboxSchema>;

/** Body of `PATCH /v1/sandboxes/:id`. `timeoutMs: null` takes the timeout away; a number counts from now. */
export const UpdateSandboxBody = Type.Object(
  {
    name: Type.Optional(NameSchema),
    labels: Type.Optional(LabelsSchema),
    timeoutMs: Type.Optional(Type.Union([Type.Integer({ minimum: 1000 }), Type.Null()])),
    onTimeout: Type.Optional(oneOf(timeoutActions)),
  },
  closed,
);
export type UpdateSandboxBody = Type.Static<typeof UpdateSandboxBody>;

/** Body of `POST /v1/sandboxes/:id/stop`. */
export const StopSandboxBody = Type.Object(
  { graceMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 600_000, default: 5000 })) },
  closed,
);

/** Query of every call that waits for a state: `wait=false` or `0` answers 202 at once, a duration such as `90s` waits so long. */
export const WaitQuery = Type.Object({
  wait: Type.Optional(Type.String({ default: '60s', pattern: '^(false|true|0|[0-9a-z.]+)$' })),
});

/** Query of lists: newest first. */
export const ListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 256, description: '`next` of the page before.' })),
});
export const ListSandboxesQuery = Type.Object({
  ...ListQuery.properties,
  status: Type.Optional(Type.String({ description: 'Statuses, joined by commas; all but `deleted` when absent.' })),
  label: Type.Optional(Type.String({ description: '`key=value`; several joined by commas must all hold.' })),
  name: Type.Optional(Type.String()),
});

export const SandboxListSchema = Type.Object(
  { items: Type.Array(SandboxSchema), next: Type.Optional(Type.String()) },
  { $id: 'SandboxList' },
);
export type SandboxList = Type.Static<typeof SandboxListSchema>;
