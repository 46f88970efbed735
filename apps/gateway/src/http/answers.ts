import type { IncomingMessage, ServerResponse } from 'node:http';
import { randomLabel, Problem } from '@skerry/model';
import { errorFields, type Log } from '@skerry/kit';

/** Answers with a problem document, and writes to the log what a caller does not see. */
export function answerProblem(request: IncomingMessage, response: ServerResponse, error: unknown, log: Log): void {
  const problem = Problem.from(error);
  const requestId = randomLabel(12);
  const status = problem.reason === 'body_too_large' ? 413 : problem.status;
  if (problem.status >= 500)
    log.warn(problem.message, {
      requestId,
      code: problem.code,
      reason: problem.reason,
      method: request.method,
      ...causeFields(problem),
    });
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = JSON.stringify({ ...problem.toDocument(requestId), status });
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-request-id': requestId,
    ...(problem.code === 'unavailable' ? { 'retry-after': '1' } : {}),
    ...(problem.code === 'unauthenticated' ? { 'www-authenticate': 'Bearer' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Answers with JSON. */
export function answerJson(request: IncomingMessage, response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const body = JSON.stringify(value);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function causeFields(problem: Problem): Readonly<Record<string, unknown>> {
  return { context: problem.context, ...(problem.cause === undefined ? {} : { cause: errorFields(problem.cause) }) };
}
