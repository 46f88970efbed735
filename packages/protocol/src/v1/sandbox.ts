import {
  exitReasons,
  isolations,
  namePattern,
  resourceBounds,
  restActions,
  sandboxKinds,
  sandboxStatuses,
  timeoutActions,
  wakeSources,
} from '@skerry/model';
import { Type } from 'typebox';
import { idSchema, oneOf } from '../ids.ts';

const closed = { additionalProperties: false };
export const SnapshotNameSchema = Type.String({
  pattern: namePattern.source,
  description: 'A DNS label that does not look like an id, unique among the snapshots of the project.',
});
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

/** When it rests by itself. What is not given keeps its default: after 10 minutes, `pause`, woken by a request. */
const RestBody = Type.Object(
  {
    afterMs: Type.Optional(
      Type.Union([Type.Integer({ minimum: 1000 }), Type.Null()], {
        description: 'Time without work after which it rests; null for never.',
      }),
    ),
    action: Type.Optional(oneOf(restActions)),
    wakeOn: Type.Optional(oneOf(wakeSources)),
    expireAfterMs: Type.Optional(
      Type.Union([Type.Integer({ minimum: 1000 }), Type.Null()], {
        description: 'Time without use after which a resting one is deleted; null for never.',
      }),
    ),
  },
  closed,
);

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
    from: Type.Optional(
      Type.String({
        maxLength: 64,
        description:
          'Id or name of a snapshot that it goes on from. Template, memory and CPUs are those of the snapshot unless given.',
      }),
    ),
    diskOnly: Type.Optional(
      Type.Boolean({ default: false, description: 'Boots from the files of `from`, without its memory.' }),
    ),
    rest: Type.Optional(RestBody),
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
    rest: Type.Object({
      afterMs: Type.Union([Type.Integer(), Type.Null()]),
      action: oneOf(restActions),
      wakeOn: oneOf(wakeSources),
      expireAfterMs: Type.Union([Type.Integer(), Type.Null()]),
    }),
    pausedAt: Type.Optional(Type.String({ format: 'date-time' })),
    resume: Type.Optional(
      Type.Object(
        {
          from: oneOf(['memory', 'disk']),
          lost: Type.Optional(Type.String()),
          why: Type.Optional(Type.String()),
          at: Type.String({ format: 'date-time' }),
        },
        {
          description:
            'How it last came back from a pause, a snapshot or a fork, and what was lost if its memory could not be used.',
        },
      ),
    ),
    source: Type.Optional(
      Type.Object({ snapshot: idSchema('snapshot') }, { description: 'The snapshot that its files were made from.' }),
    ),
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
    rest: Type.Optional(RestBody),
  },
  closed,
);
export type UpdateSandboxBody = Type.Static<typeof UpdateSandboxBody>;

/** Body of `POST /v1/sandboxes/:id/stop`. */
export const StopSandboxBody = Type.Object(
  { graceMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 600_000, default: 5000 })) },
  closed,
);

/** Body of `POST /v1/sandboxes/:id/pause`. */
export const PauseSandboxBody = Type.Object(
  {
    memory: Type.Optional(
      Type.Boolean({ default: true, description: 'Whether memory is saved too; without, processes end as at a stop.' }),
    ),
  },
  closed,
);

/** Body of `POST /v1/sandboxes/:id/rollback`. */
export const RollbackSandboxBody = Type.Object(
  {
    snapshot: Type.String({ maxLength: 64, description: 'Id or name of a snapshot.' }),
    diskOnly: Type.Optional(Type.Boolean({ default: false })),
  },
  closed,
);
export type RollbackSandboxBody = Type.Static<typeof RollbackSandboxBody>;

/** Body of `POST /v1/sandboxes/:id/fork`. The forks have the settings of the sandbox; their names are made up from its name unless given. */
export const ForkSandboxBody = Type.Object(
  {
    count: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 1 })),
    names: Type.Optional(Type.Array(NameSchema, { maxItems: 100 })),
    diskOnly: Type.Optional(Type.Boolean({ default: false })),
  },
  closed,
);
export type ForkSandboxBody = Type.Static<typeof ForkSandboxBody>;

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
