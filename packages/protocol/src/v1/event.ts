import { Type } from 'typebox';
import { idSchema } from '../ids.ts';

/** Kinds of events. Events tell; nothing is steered by them. */
export const eventTypes = [
  'sandbox.created',
  'sandbox.starting',
  'sandbox.running',
  'sandbox.stopping',
  'sandbox.stopped',
  'sandbox.deleting',
  'sandbox.deleted',
  'sandbox.failed',
  'sandbox.boot_ended',
  'sandbox.updated',
  'sandbox.timeout',
  'sandbox.recovered',
  'sandbox.pausing',
  'sandbox.paused',
  'sandbox.resuming',
  'sandbox.resumed',
  'sandbox.pause_failed',
  'sandbox.resume_fell_back',
  'sandbox.frozen',
  'sandbox.thawed',
  'sandbox.rolled_back',
  'sandbox.rollback_failed',
  'sandbox.forked',
  'snapshot.created',
  'snapshot.failed',
  'snapshot.deleted',
] as const;
export type EventType = (typeof eventTypes)[number];

export const EventSchema = Type.Object(
  {
    id: idSchema('event'),
    type: Type.Unsafe<EventType>({ type: 'string', enum: [...eventTypes] }),
    sandboxId: idSchema('sandbox'),
    at: Type.String({ format: 'date-time' }),
    reason: Type.Optional(Type.String()),
    message: Type.String(),
    data: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'Event' },
);
export type SkerryEvent = Type.Static<typeof EventSchema>;

/** Oldest first. */
export const EventListSchema = Type.Object(
  { items: Type.Array(EventSchema), next: Type.Optional(Type.String()) },
  { $id: 'EventList' },
);
export type EventList = Type.Static<typeof EventListSchema>;
