import { Type } from 'typebox';
import { EnvSchema } from './sandbox.ts';

/**
 * Body of `POST /v1/sandboxes/:id/exec`, which the gateway answers. A string is run by `/bin/bash -l -c`, a list as it is.
 * With `Accept: application/x-ndjson` the answer is a stream of `ExecEvent`s, otherwise one `ExecResult`.
 */
export const ExecBody = Type.Object(
  {
    command: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String(), { minItems: 1 })]),
    user: Type.Optional(Type.String({ pattern: '^[a-z_][a-z0-9_-]{0,31}$' })),
    cwd: Type.Optional(Type.String()),
    env: Type.Optional(EnvSchema),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1 })),
    stdin: Type.Optional(
      Type.String({ description: 'Text for standard input, which is then closed; closed at once when absent.' }),
    ),
    detach: Type.Optional(Type.Boolean({ description: 'Answer as soon as it has started, with its pid.' })),
  },
  { additionalProperties: false, $id: 'ExecBody' },
);
export type ExecBody = Type.Static<typeof ExecBody>;

/** Most that `ExecResult` holds of each of stdout and stderr, in `bytes`; more is cut, and `truncated` says so. */
export const maxExecOutputBytes = 8 * 1024 * 1024;

export const ExecResultSchema = Type.Object(
  {
    pid: Type.Integer(),
    /** Absent when detached. 124 after a timeout, 128 + n after signal n. */
    exitCode: Type.Optional(Type.Integer()),
    signal: Type.Optional(Type.String()),
    stdout: Type.String(),
    stderr: Type.String(),
    truncated: Type.Boolean(),
    timedOut: Type.Boolean(),
    durationMs: Type.Integer(),
  },
  { $id: 'ExecResult' },
);
export type ExecResult = Type.Static<typeof ExecResultSchema>;

/** One line of the stream: bytes are base64 in `stdout` and `stderr`. The last line is `end` or `problem`. */
export type ExecEvent =
  | { readonly type: 'start'; readonly pid: number }
  | { readonly type: 'stdout' | 'stderr'; readonly data: string }
  | {
      readonly type: 'end';
      readonly exitCode: number;
      readonly signal?: string;
      readonly timedOut: boolean;
      readonly durationMs: number;
    }
  | { readonly type: 'problem'; readonly problem: unknown };
