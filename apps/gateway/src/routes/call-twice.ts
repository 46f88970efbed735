import { Problem } from '@skerry/model';
import type { JsonClient } from '@skerry/protocol';

/**
 * Calls the server, once more when there was no answer: a kept connection of a server that has restarted breaks at its first use.
 * For calls that may be repeated. `route` is such as `POST /v1/resolve`.
 */
export async function callTwice(
  client: JsonClient,
  route: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<unknown> {
  const [method = '', path = ''] = route.split(' ');
  const call = { body, ...(signal === undefined ? {} : { signal }) };
  try {
    return await client.call(method, path, call);
  } catch (error) {
    const problem = Problem.from(error);
    if (problem.reason !== 'peer_unavailable' || signal?.aborted === true) throw serverProblem(problem);
  }
  try {
    return await client.call(method, path, call);
  } catch (error) {
    throw serverProblem(Problem.from(error));
  }
}

function serverProblem(problem: Problem): Problem {
  return problem.reason === 'peer_unavailable' ? serverUnavailable(problem) : problem;
}

/** The server does not answer; sandboxes go on. */
export function serverUnavailable(cause: unknown): Problem {
  return new Problem('unavailable', 'The Skerry server is not available at the moment', {
    reason: 'server_unavailable',
    hint: 'Running sandboxes go on; try again in a second.',
    cause,
  });
}
