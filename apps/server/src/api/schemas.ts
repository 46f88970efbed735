import { ProblemSchema } from '@skerry/protocol';
import { Type } from 'typebox';

/** Path of everything that belongs to one sandbox. */
export const SandboxParams = Type.Object({ sandbox: Type.String({ description: 'Id or name.' }) });

/** Every call may answer these. */
export const problemAnswers = { '4xx': ProblemSchema, '5xx': ProblemSchema };

/** Header of calls that may be repeated safely. */
export const RepeatableHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ description: 'The same key with the same body gives the same answer, for 24 hours.' }),
  ),
});
