import {
  ForkSandboxBody,
  PauseSandboxBody,
  RollbackSandboxBody,
  SandboxListSchema,
  SandboxSchema,
  WaitQuery,
} from '@skerry/protocol';
import { Type } from 'typebox';
import { forkSandbox } from '../actions/sandbox/fork.ts';
import { pauseSandbox } from '../actions/sandbox/pause.ts';
import { rollBackSandbox } from '../actions/sandbox/rollback.ts';
import { startSandbox } from '../actions/sandbox/start.ts';
import { waitForAll } from '../actions/sandbox/wait.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { goneSignal, repeatableOf, waitMsOf } from './call.ts';
import { sandboxAnswers } from './sandbox-answer.ts';
import { problemAnswers, RepeatableHeaders, SandboxParams } from './schemas.ts';

const tags = ['sandboxes'];
const parts = { tags, headers: RepeatableHeaders, params: SandboxParams, querystring: WaitQuery };
const response = { 200: SandboxSchema, 202: SandboxSchema, ...problemAnswers };

/** Calls about what a sandbox has in memory: pause, resume, fork, rollback. */
export function memoryRoutes(app: App, core: Core): void {
  const { answer, show } = sandboxAnswers(core);

  app.post(
    '/v1/sandboxes/:sandbox/pause',
    {
      config: { role: 'member' },
      schema: {
        ...parts,
        operationId: 'pauseSandbox',
        summary: 'Saves memory and disk and ends what runs; a paused sandbox is fine',
        body: PauseSandboxBody,
        response,
      },
    },
    async (request, reply) => {
      waitMsOf(request.query.wait);
      const { sandbox } = request.params;
      const memory = request.body.memory ?? true;
      const record = await pauseSandbox(core, request.caller, sandbox, memory, repeatableOf(request));
      return answer(request, reply, record, 'paused', 200);
    },
  );

  app.post(
    '/v1/sandboxes/:sandbox/resume',
    {
      config: { role: 'member' },
      schema: {
        ...parts,
        operationId: 'resumeSandbox',
        summary: 'Goes on where a paused sandbox was; a stopped one is booted, a running one is fine',
        body: Type.Object({}, { additionalProperties: false }),
        response,
      },
    },
    async (request, reply) => {
      waitMsOf(request.query.wait);
      const record = await startSandbox(core, request.caller, request.params.sandbox, repeatableOf(request));
      return answer(request, reply, record, 'running', 200);
    },
  );

  app.post(
    '/v1/sandboxes/:sandbox/fork',
    {
      config: { role: 'member' },
      schema: {
        ...parts,
        operationId: 'forkSandbox',
        summary: 'Makes running copies of a sandbox, each with an identity of its own; it goes on',
        body: ForkSandboxBody,
        response: { 201: SandboxListSchema, 202: SandboxListSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      const waitMs = waitMsOf(request.query.wait);
      const { sandbox } = request.params;
      const forks = await forkSandbox(core, request.caller, sandbox, request.body, repeatableOf(request));
      const { records, reached } = await waitForAll(core, forks, waitMs, goneSignal(request));
      return reply.status(reached ? 201 : 202).send({ items: records.map((record) => show(record, request)) });
    },
  );

  app.post(
    '/v1/sandboxes/:sandbox/rollback',
    {
      config: { role: 'member' },
      schema: {
        ...parts,
        operationId: 'rollBackSandbox',
        summary: 'Puts a sandbox back to a snapshot, in place, and lets it run from there',
        body: RollbackSandboxBody,
        response,
      },
    },
    async (request, reply) => {
      waitMsOf(request.query.wait);
      const { sandbox } = request.params;
      const record = await rollBackSandbox(core, request.caller, sandbox, request.body, repeatableOf(request));
      return answer(request, reply, record, 'rolled_back', 200);
    },
  );
}
