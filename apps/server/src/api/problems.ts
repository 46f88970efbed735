import { Problem } from '@skerry/model';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';

/** Turns whatever a route or the framework threw into a problem. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { code, statusCode, validation, validationContext, message } = error as Partial<FastifyError>;
  if (validation !== undefined) {
    const [first] = validation;
    const context = validationContext ?? 'body';
    const place = first?.instancePath === undefined || first.instancePath === '' ? '' : ` "${first.instancePath}"`;
    return new Problem(
      'invalid',
      `The ${context === 'querystring' ? 'query' : context} is not valid:${place} ${first?.message ?? 'it is wrong'}`,
      {
        reason: context === 'body' ? 'invalid_body' : 'invalid_query',
        hint: 'The schema is openapi/v1.json.',
      },
    );
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new Problem('invalid', 'The body exceeds 1 MiB', {
      reason: 'body_too_large',
      hint: 'Send less; files go to /v1/sandboxes/{id}/files.',
    });
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new Problem('invalid', 'The body has a content type that is not understood here', {
      reason: 'invalid_content_type',
      hint: 'Send "Content-Type: application/json".',
    });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new Problem('invalid', `The request is not valid: ${message ?? 'it is malformed'}`, {
      reason: code === 'FST_ERR_BAD_URL' ? 'invalid_path' : 'invalid_request',
    });
  return Problem.from(error);
}

/** Answers with a problem document. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = toProblem(error);
  const status = problem.reason === 'body_too_large' ? 413 : problem.status;
  if (status >= 500) request.log.error({ err: error, reason: problem.reason }, 'A call failed');
  const document = { ...problem.toDocument(request.id), status };
  if (problem.retryable && (status === 503 || status === 429)) void reply.header('retry-after', '1');
  // Fastify would close the connection on a body that it did not read to its end: the answer is then lost while the rest still arrives.
  void reply.removeHeader('connection');
  void reply.status(status).header('content-type', 'application/problem+json').send(JSON.stringify(document));
}
