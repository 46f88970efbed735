import type { Sandbox } from '@skerry/protocol';
import type { SandboxRecord } from '@skerry/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { showSandbox } from '../actions/sandbox/show.ts';
import { type Goal, waitFor } from '../actions/sandbox/wait.ts';
import type { Core } from '../core.ts';
import { goneSignal, waitMsOf } from './call.ts';

interface SandboxAnswers {
  /** A sandbox as this caller may see it. */
  show(record: SandboxRecord, request: FastifyRequest): Sandbox;
  /** Waits for the goal and answers with `done`, or 202 when the caller waits no longer. */
  answer(
    request: FastifyRequest,
    reply: FastifyReply,
    record: SandboxRecord,
    goal: Goal,
    done: 200 | 201,
  ): Promise<Sandbox>;
}

/** How calls that are about one sandbox are answered. */
export function sandboxAnswers(core: Core): SandboxAnswers {
  const show = (record: SandboxRecord, request: FastifyRequest): Sandbox =>
    showSandbox(core, record, request.caller.role !== 'viewer');
  return {
    show,
    async answer(request, reply, record, goal, done) {
      const { wait } = request.query as { wait?: string };
      const waited = await waitFor(core, record, goal, waitMsOf(wait), goneSignal(request));
      void reply.status(waited.reached ? done : 202);
      return show(waited.record, request);
    },
  };
}
