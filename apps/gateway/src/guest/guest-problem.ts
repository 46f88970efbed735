import { Problem, type ProblemCode } from '@skerry/model';

/** An error of the guest's Connect services. */
export interface ConnectError {
  readonly code: string;
  readonly message?: string;
}

interface Case {
  readonly code: ProblemCode;
  readonly reason: string;
  readonly hint?: string;
}

/** The guest's cases that have a word of their own, by Connect code and message. */
const cases: readonly (readonly [code: string, message: RegExp, said: Case])[] = [
  [
    'unauthenticated',
    /invalid username/,
    { code: 'invalid', reason: 'invalid_user', hint: 'Name a user that exists in the sandbox, such as "root".' },
  ],
  [
    'invalid_argument',
    /^cwd /,
    { code: 'invalid', reason: 'no_such_directory', hint: 'Name a folder that exists in the sandbox as "cwd".' },
  ],
  [
    'invalid_argument',
    /was not found in PATH|no such file or directory/,
    { code: 'invalid', reason: 'command_not_found' },
  ],
  ['invalid_argument', /may not execute|exec format/, { code: 'invalid', reason: 'not_executable' }],
  [
    'invalid_argument',
    /not a directory/i,
    { code: 'invalid', reason: 'not_a_directory', hint: 'Read a file without "list=true".' },
  ],
  [
    'resource_exhausted',
    /fork failed/,
    { code: 'exhausted', reason: 'too_many_processes', hint: 'End some processes of the sandbox.' },
  ],
  [
    'resource_exhausted',
    /detached/,
    { code: 'exhausted', reason: 'slow_reader', hint: 'Read the stream without long stops.' },
  ],
  [
    'unavailable',
    /being paused/,
    {
      code: 'unavailable',
      reason: 'sandbox_pausing',
      hint: 'What runs in it goes on when it wakes; look before you repeat the call.',
    },
  ],
  [
    'unavailable',
    /went away during the call/,
    { code: 'unavailable', reason: 'sandbox_lost', hint: 'Look at its status with "skerry ls".' },
  ],
  ['resource_exhausted', /no space|quota|disk/i, { code: 'exhausted', reason: 'sandbox_disk_full' }],
];

const classes: Record<string, ProblemCode> = {
  canceled: 'cancelled',
  invalid_argument: 'invalid',
  deadline_exceeded: 'deadline',
  not_found: 'not_found',
  already_exists: 'already_exists',
  permission_denied: 'forbidden',
  resource_exhausted: 'exhausted',
  failed_precondition: 'precondition_failed',
  aborted: 'conflict',
  out_of_range: 'invalid',
  unimplemented: 'unsupported',
  unavailable: 'unavailable',
  data_loss: 'data_loss',
};

/** Says what the guest's error means to a caller of `/v1`. */
export function connectProblem(error: ConnectError, status: number): Problem {
  const message = error.message ?? '';
  const said = cases.find(([code, pattern]) => code === error.code && pattern.test(message))?.[2];
  const detail = capitalise(message);
  if (said !== undefined)
    return new Problem(said.code, detail, {
      reason: said.reason,
      ...(said.hint === undefined ? {} : { hint: said.hint }),
      ...(said.code === 'exhausted' ? { exhaustion: said.reason === 'sandbox_disk_full' ? 'disk' : 'capacity' } : {}),
    });
  const code = status === 503 ? 'unavailable' : classes[error.code];
  if (code === undefined || message === '')
    return new Problem('internal', 'The sandbox answered with something unknown', {
      reason: 'guest_failed',
      context: { ...error, status },
    });
  return new Problem(code, detail, { reason: code === 'unavailable' ? 'sandbox_not_ready' : code });
}

/** Says what an error of the guest's `/files` means. */
export function fileProblem(error: ConnectError, status: number, path: string): Problem {
  const message = error.message ?? '';
  if (status === 404)
    return new Problem('not_found', `There is no file "${path}" in the sandbox`, { reason: 'no_such_file' });
  if (status === 507)
    return new Problem('exhausted', "The sandbox's disk is full", {
      reason: 'sandbox_disk_full',
      exhaustion: 'disk',
      hint: 'Remove files in the sandbox.',
    });
  if (status === 401 && /username/.test(message)) return connectProblem({ code: 'unauthenticated', message }, status);
  if (status === 400 && /director|folder/i.test(message))
    return new Problem('invalid', `"${path}" is a folder`, {
      reason: 'is_a_directory',
      hint: 'List it with "list=true".',
    });
  if (status === 503) return new Problem('unavailable', 'The sandbox is not ready', { reason: 'sandbox_not_ready' });
  if (status >= 400 && status < 500 && message !== '')
    return new Problem('invalid', capitalise(message), { reason: 'invalid_file_call' });
  return new Problem('internal', 'The sandbox answered with something unknown', {
    reason: 'guest_failed',
    context: { ...error, status },
  });
}

function capitalise(message: string): string {
  return message.slice(0, 1).toUpperCase() + message.slice(1);
}
