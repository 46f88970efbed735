import { Type } from 'typebox';
import { idSchema, oneOf } from '../ids.ts';

export const keyRoles = ['admin', 'member', 'viewer'] as const;
/** `viewer` reads · `member` also creates, uses and deletes · `admin` also manages keys and garbage. */
export type KeyRole = (typeof keyRoles)[number];

export const CreateKeyBody = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100 }),
    role: Type.Optional(oneOf(keyRoles, { default: 'member' })),
    expiresInMs: Type.Optional(Type.Integer({ minimum: 1000 })),
    format: Type.Optional(oneOf(['skerry', 'e2b'], { default: 'skerry', description: 'Prefix of the key.' })),
  },
  { additionalProperties: false },
);
export type CreateKeyBody = Type.Static<typeof CreateKeyBody>;

export const KeySchema = Type.Object(
  {
    id: idSchema('key'),
    project: idSchema('project'),
    name: Type.String(),
    role: oneOf(keyRoles),
    /** First characters, to tell keys apart. */
    hint: Type.String(),
    createdAt: Type.String({ format: 'date-time' }),
    expiresAt: Type.Optional(Type.String({ format: 'date-time' })),
    revokedAt: Type.Optional(Type.String({ format: 'date-time' })),
    key: Type.Optional(Type.String({ description: 'The key itself: only in the answer that creates it.' })),
  },
  { $id: 'Key' },
);
export type Key = Type.Static<typeof KeySchema>;
export const KeyListSchema = Type.Object(
  { items: Type.Array(KeySchema), next: Type.Optional(Type.String()) },
  { $id: 'KeyList' },
);
export type KeyList = Type.Static<typeof KeyListSchema>;
