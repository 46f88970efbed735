/**
 * Each class of problem, by what the caller should do: HTTP status, E2B `code` (always the status), exit code of the CLI,
 * and whether the same call may succeed later.
 */
export const problemClasses = {
  invalid: { status: 400, exitCode: 2, retry: false },
  unauthenticated: { status: 401, exitCode: 3, retry: false },
  forbidden: { status: 403, exitCode: 3, retry: false },
  not_found: { status: 404, exitCode: 4, retry: false },
  already_exists: { status: 409, exitCode: 5, retry: false },
  conflict: { status: 409, exitCode: 5, retry: true },
  precondition_failed: { status: 412, exitCode: 5, retry: false },
  cancelled: { status: 499, exitCode: 1, retry: true },
  exhausted: { status: 429, exitCode: 6, retry: true },
  unsupported: { status: 501, exitCode: 7, retry: false },
  unavailable: { status: 503, exitCode: 8, retry: true },
  deadline: { status: 504, exitCode: 124, retry: true },
  data_loss: { status: 500, exitCode: 9, retry: false },
  internal: { status: 500, exitCode: 1, retry: false },
} as const;

/** A class of problem. */
export type ProblemCode = keyof typeof problemClasses;

/** What `exhausted` lacks decides its status: calls (429), capacity (503), or disk (507). */
export type Exhaustion = 'rate' | 'capacity' | 'disk';
const exhaustionStatus: Record<Exhaustion, number> = { rate: 429, capacity: 503, disk: 507 };

/** A problem as it goes over the wire: RFC 9457, `application/problem+json`. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  /** A stable word for this very case, such as `sandbox_not_running`. */
  readonly reason: string;
  readonly detail: string;
  readonly hint?: string;
  readonly retryable: boolean;
  readonly requestId?: string;
}

export interface ProblemOptions {
  /** A stable word for this very case; the code when absent. */
  readonly reason?: string;
  /** What the reader can do about it. */
  readonly hint?: string;
  /** What `exhausted` lacks; `rate` when absent. */
  readonly exhaustion?: Exhaustion;
  /** Detail for the log; it never reaches a caller. */
  readonly context?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The one error type. `message` is for the caller: sentence case, active voice, values quoted, the state given. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly reason: string;
  readonly hint: string | undefined;
  readonly exhaustion: Exhaustion | undefined;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: ProblemCode, message: string, options: ProblemOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Problem';
    this.code = code;
    this.reason = options.reason ?? code;
    this.hint = options.hint;
    this.exhaustion = code === 'exhausted' ? (options.exhaustion ?? 'rate') : undefined;
    this.context = options.context ?? {};
  }

  /** The HTTP status for this problem. */
  get status(): number {
    return this.exhaustion === undefined ? problemClasses[this.code].status : exhaustionStatus[this.exhaustion];
  }

  get exitCode(): number {
    return problemClasses[this.code].exitCode;
  }

  get retryable(): boolean {
    return problemClasses[this.code].retry;
  }

  /** The document for the wire; it holds nothing of `context` or `cause`. */
  toDocument(requestId?: string): ProblemDocument {
    return {
      type: `urn:skerry:problem:${this.reason}`,
      title: this.code,
      status: this.status,
      code: this.code,
      reason: this.reason,
      detail: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      retryable: this.retryable,
      ...(requestId === undefined ? {} : { requestId }),
    };
  }

  /** Reads a document of the wire; what is not one becomes `internal`. */
  static fromDocument(document: unknown, status: number): Problem {
    if (typeof document === 'object' && document !== null) {
      const { code, detail, reason, hint } = document as Record<string, unknown>;
      if (typeof code === 'string' && code in problemClasses && typeof detail === 'string') {
        return new Problem(code as ProblemCode, detail, {
          ...(typeof reason === 'string' ? { reason } : {}),
          ...(typeof hint === 'string' ? { hint } : {}),
          ...(status === 503 ? { exhaustion: 'capacity' } : status === 507 ? { exhaustion: 'disk' } : {}),
        });
      }
    }
    return new Problem('internal', `The answer (HTTP ${status}) is no problem document`, { context: { document } });
  }

  /** The only place where an unknown becomes typed: a problem stays, an abort becomes `cancelled` or `deadline`, all else `internal`. */
  static from(unknown: unknown): Problem {
    if (unknown instanceof Problem) return unknown;
    if (unknown instanceof Error) {
      if (unknown.name === 'TimeoutError')
        return new Problem('deadline', 'The call did not finish in time', { cause: unknown });
      if (unknown.name === 'AbortError') return new Problem('cancelled', 'The call was cancelled', { cause: unknown });
      const errno = (unknown as NodeJS.ErrnoException).code;
      if (errno === 'ENOSPC' || errno === 'EDQUOT')
        return new Problem('exhausted', "The host's disk is full", {
          reason: 'host_disk_full',
          exhaustion: 'disk',
          cause: unknown,
        });
      return new Problem('internal', 'Something failed inside Skerry', {
        cause: unknown,
        context: { message: unknown.message },
      });
    }
    return new Problem('internal', 'Something failed inside Skerry', { context: { thrown: String(unknown) } });
  }
}
