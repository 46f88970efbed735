import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@skerry/kit';
import { Problem } from '@skerry/model';
import type { RestAnswer } from '@skerry/protocol';

/**
 * Has the server bring every sandbox to rest. A server that is just being started again is waited for. Throws `deadline` or what the server
 * answered when that does not work out.
 */
export async function restSandboxes(
  adminSocket: string,
  deadlineMs: number,
  signal: AbortSignal,
  log: Log,
): Promise<RestAnswer> {
  const { adminPaths, JsonClient } = await import('@skerry/protocol');
  using client = new JsonClient(adminSocket, 'the server');
  const [method = '', path = ''] = adminPaths.rest.split(' ');
  const endMs = Date.now() + deadlineMs;
  for (;;) {
    const leftMs = endMs - Date.now();
    if (leftMs <= 0)
      throw new Problem('deadline', `The sandboxes did not come to rest within ${deadlineMs / 1000} s`, {
        reason: 'rest_deadline',
      });
    try {
      const late = AbortSignal.timeout(leftMs + 5000);
      return (await client.call(method, path, {
        body: { deadlineMs: leftMs },
        signal: AbortSignal.any([signal, late]),
      })) as RestAnswer;
    } catch (error) {
      const problem = Problem.from(error);
      if (signal.aborted || problem.code !== 'unavailable') throw problem;
      log.warn('The server does not answer; its sandboxes rest when it does', { problem: problem.message });
      await sleep(300, undefined, { signal }).catch(() => undefined);
    }
  }
}
