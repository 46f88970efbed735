import { restActions, wakeSources } from '@skerry/model';
import { Type } from 'typebox';
import { oneOf } from '../ids.ts';

const closed = { additionalProperties: false };
const time = { format: 'date-time' } as const;

export const activitySignals = ['requests', 'attached', 'streams', 'cpu', 'network', 'hold', 'start'] as const;
/**
 * `requests`: to its ports, and files and commands by the API · `attached`: a client is attached to a command or terminal that moves bytes ·
 * `streams`: other open requests that move bytes · `cpu`: above the threshold · `network`: traffic of its own · `hold`: a declared lease · `start`.
 */
export type ActivitySignal = (typeof activitySignals)[number];

/** Answer of `GET /v1/sandboxes/:id/activity`: why it is awake, what would wake it, when and how it will rest, and what it has cost. */
export const ActivitySchema = Type.Object(
  {
    level: oneOf(['awake', 'frozen', 'paused', 'stopped'], {
      description: '`frozen`: it rests in RAM; nothing is saved by that.',
    }),
    /** One sentence for a person. */
    summary: Type.String(),
    signals: Type.Array(
      Type.Object({
        signal: oneOf(activitySignals),
        active: Type.Boolean({ description: 'Whether it keeps the sandbox awake now.' }),
        lastAt: Type.Optional(Type.String(time)),
        detail: Type.String(),
      }),
    ),
    /** What happens next by itself, soonest first. */
    next: Type.Array(
      Type.Object({
        rule: oneOf(['freeze', 'rest', 'timeout', 'expire']),
        action: oneOf(['freeze', ...restActions]),
        at: Type.Optional(
          Type.String({
            ...time,
            description: 'When, if nothing works in it until then; absent while something does.',
          }),
        ),
        why: Type.String(),
      }),
    ),
    wakeOn: oneOf(wakeSources),
    wakes: Type.String({ description: 'What would wake it, in words.' }),
    holds: Type.Array(
      Type.Object({
        id: Type.String(),
        reason: Type.String(),
        createdAt: Type.String(time),
        expiresAt: Type.String(time),
      }),
    ),
    usage: Type.Object({
      awakeSeconds: Type.Number(),
      frozenSeconds: Type.Number(),
      pausedSeconds: Type.Number(),
      stoppedSeconds: Type.Number(),
      cpuSeconds: Type.Number(),
      cost: Type.Object({
        amount: Type.Number(),
        currency: Type.String(),
        prices: Type.String({ description: 'The configured prices, in words.' }),
      }),
    }),
  },
  { $id: 'Activity' },
);
export type Activity = Type.Static<typeof ActivitySchema>;

/** Body of `POST /v1/sandboxes/:id/holds`: keeps it awake until `release`, or for so long. */
export const CreateHoldBody = Type.Object(
  {
    forMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 30 * 24 * 3_600_000, default: 2 * 3_600_000 })),
    reason: Type.Optional(Type.String({ maxLength: 200, default: 'asked for' })),
  },
  closed,
);
export type CreateHoldBody = Type.Static<typeof CreateHoldBody>;
export const HoldSchema = Type.Object(
  { id: Type.String(), reason: Type.String(), createdAt: Type.String(time), expiresAt: Type.String(time) },
  { $id: 'Hold' },
);
export type Hold = Type.Static<typeof HoldSchema>;
