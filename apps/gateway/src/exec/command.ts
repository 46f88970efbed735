import type { ExecBody, StartRequest } from '@skerry/protocol';

/** What the guest is asked to start for a body of `exec`. */
export function startRequest(body: ExecBody): StartRequest {
  const { command, cwd, env } = body;
  const [cmd = '', ...args] = typeof command === 'string' ? ['/bin/bash', '-l', '-c', command] : command;
  return {
    process: { cmd, args, ...(env === undefined ? {} : { envs: env }), ...(cwd === undefined ? {} : { cwd }) },
    stdin: body.stdin !== undefined && body.stdin !== '',
  };
}
