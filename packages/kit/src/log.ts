export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one JSON line an event. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with fields that every line gets. */
  with(fields: LogFields): Log;
}

const ranks: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Fields of an error for a log line, causes included. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) };
  const { context } = error as { context?: unknown };
  return {
    error: error.message,
    stack: error.stack,
    ...(context === undefined ? {} : { context }),
    ...(error.cause === undefined ? {} : { cause: errorFields(error.cause) }),
  };
}

/** Makes a log named for a program. `write` gets whole lines; standard error by default. */
export function createLog(
  name: string,
  least: LogLevel = 'info',
  write: (line: string) => void = (line) => void process.stderr.write(line),
  always: LogFields = {},
): Log {
  const at = (level: LogLevel) => {
    return (message: string, fields: LogFields = {}): void => {
      if (ranks[level] < ranks[least]) return;
      write(`${JSON.stringify({ time: new Date().toISOString(), level, name, message, ...always, ...fields })}\n`);
    };
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => createLog(name, least, write, { ...always, ...fields }),
  };
}
