import { type ProblemCode, type ProblemDocument, problemClasses } from '@skerry/protocol/client';

export interface SkerryErrorFields {
  readonly code: ProblemCode;
  /** A stable word for this very case, such as `sandbox_not_running`. */
  readonly reason: string;
  readonly message: string;
  readonly hint?: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly requestId?: string;
  readonly cause?: unknown;
}

/** What every call throws when it does not work: says what happened, what to do, and whether the same call may succeed later. */
export class SkerryError extends Error {
  readonly code: ProblemCode;
  readonly reason: string;
  readonly hint: string | undefined;
  readonly status: number;
  readonly requestId: string | undefined;

  constructor(fields: SkerryErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = 'SkerryError';
    this.code = fields.code;
    this.reason = fields.reason;
    this.hint = fields.hint;
    this.status = fields.status;
    this.requestId = fields.requestId;
  }

  get retryable(): boolean {
    return problemClasses[this.code].retry;
  }

  /** Exit code of a program that ends because of this. */
  get exitCode(): number {
    return problemClasses[this.code].exitCode;
  }

  /** The problem as the API sends it. */
  toDocument(): ProblemDocument {
    return {
      type: `urn:skerry:problem:${this.reason}`,
      title: this.code,
      status: this.status,
      code: this.code,
      reason: this.reason,
      detail: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      retryable: this.retryable,
      ...(this.requestId === undefined ? {} : { requestId: this.requestId }),
    };
  }
}

/** Codes of the Connect protocol. Source: Connect protocol, "Error codes". */
const connectCodes: Readonly<Record<string, ProblemCode>> = {
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
  unauthenticated: 'unauthenticated',
};

const codesOfStatus: Readonly<Record<number, ProblemCode>> = {
  400: 'invalid',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  413: 'invalid',
  429: 'exhausted',
  501: 'unsupported',
  502: 'unavailable',
  503: 'unavailable',
  504: 'deadline',
  507: 'exhausted',
};

/** Makes an error of what a server answered: a problem document, a Connect error, the guest's `{code, message}`, or something else. */
export function errorOfAnswer(status: number, text: string): SkerryError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const { code, detail, reason, hint, message, requestId } = fields;
  if (typeof code === 'string' && code in problemClasses && typeof detail === 'string')
    return new SkerryError({
      code: code as ProblemCode,
      reason: typeof reason === 'string' ? reason : code,
      message: detail,
      status,
      ...(typeof hint === 'string' ? { hint } : {}),
      ...(typeof requestId === 'string' ? { requestId } : {}),
    });
  if (typeof code === 'string' && typeof message === 'string') return errorOfConnect(code, message, status);
  if (status === 502 && typeof fields['sandboxId'] === 'string')
    return new SkerryError({
      code: 'conflict',
      reason: fields['port'] === undefined ? 'sandbox_not_running' : 'port_closed',
      message: typeof message === 'string' ? message : 'The sandbox does not answer',
      hint: 'Start it, and try again.',
      status,
    });
  const problem = codesOfStatus[status] ?? 'internal';
  return new SkerryError({
    code: problem,
    reason: problem,
    message:
      typeof message === 'string'
        ? message
        : `The server answered HTTP ${status}${text === '' ? '' : `: ${text.slice(0, 200)}`}`,
    status,
  });
}

/** Makes an error of a Connect code, as the guest answers them. */
export function errorOfConnect(connectCode: string, message: string, status = 0): SkerryError {
  const code = connectCodes[connectCode] ?? 'internal';
  return new SkerryError({
    code,
    reason: code,
    message: message === '' ? `The guest answered "${connectCode}"` : message,
    status,
  });
}

/** Makes an error of a call that got no answer. */
export function errorOfFailure(cause: unknown, url: string, signal?: AbortSignal): SkerryError {
  if (cause instanceof SkerryError) return cause;
  if (cause instanceof Error && cause.name === 'TimeoutError')
    return new SkerryError({
      code: 'deadline',
      reason: 'deadline',
      message: 'The call did not finish in time',
      status: 0,
      cause,
    });
  if (signal?.aborted === true || (cause instanceof Error && cause.name === 'AbortError'))
    return new SkerryError({
      code: 'cancelled',
      reason: 'cancelled',
      message: 'The call was cancelled',
      status: 0,
      cause,
    });
  const inner = cause instanceof Error ? cause.cause : undefined;
  const why = typeof inner === 'object' && inner !== null && 'code' in inner ? String(inner.code) : '';
  return new SkerryError({
    code: 'unavailable',
    reason: why === 'ECONNREFUSED' ? 'not_reachable' : 'connection_lost',
    message:
      why === 'ECONNREFUSED'
        ? `Nobody answers at ${url}`
        : `The connection to ${url} broke${why === '' ? '' : ` (${why})`}`,
    hint: why === 'ECONNREFUSED' ? 'Start Skerry with "skerry up", or check the address.' : 'Try again.',
    status: 0,
    cause,
  });
}
