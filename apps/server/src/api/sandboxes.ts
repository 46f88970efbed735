import {
  CreateSandboxBody,
  ListSandboxesQuery,
  LogSchema,
  SandboxListSchema,
  SandboxSchema,
  StopSandboxBody,
  UpdateSandboxBody,
  WaitQuery,
} from '@skerry/protocol';
import { Type } from 'typebox';
import { createSandbox } from '../actions/sandbox/create.ts';
import { deleteSandbox } from '../actions/sandbox/delete.ts';
import { findSandbox } from '../actions/sandbox/find.ts';
import { listSandboxes } from '../actions/sandbox/list.ts';
import { readLog } from '../actions/sandbox/read-log.ts';
import { showSandbox } from '../actions/sandbox/show.ts';
import { startSandbox } from '../actions/sandbox/start.ts';
import { stopSandbox } from '../actions/sandbox/stop.ts';
import { updateSandbox } from '../actions/sandbox/update.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { repeatableOf, waitMsOf } from './call.ts';
import { sandboxAnswers } from './sandbox-answer.ts';
import { problemAnswers, RepeatableHeaders, SandboxParams } from './schemas.ts';

const defaultGraceMs = 5000;
const defaultLogBytes = 65_536;
const tags = ['sandboxes'];

export function sandboxRoutes(app: App, core: Core): void {
  const { answer, show } = sandboxAnswers(core);

  app.post(
    '/v1/sandboxes',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'createSandbox',
        summary: 'Creates a sandbox and boots it',
        tags,
        headers: RepeatableHeaders,
        querystring: WaitQuery,
        body: CreateSandboxBody,
        response: { 201: SandboxSchema, 202: SandboxSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      waitMsOf(request.query.wait);
      const record = await createSandbox(core, request.caller, request.body, repeatableOf(request));
      // A repeated call answers with what the first one made, whatever became of it.
      if (record.desired !== 'running') return reply.status(201).send(show(record, request));
      return answer(request, reply, record, 'running', 201);
    },
  );

  app.get(
    '/v1/sandboxes',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listSandboxes',
        summary: 'Lists sandboxes, newest first',
        tags,
        querystring: ListSandboxesQuery,
        response: { 200: SandboxListSchema, ...problemAnswers },
      },
    },
    async (request) => {
      const page = await listSandboxes(core, request.caller, request.query);
      return { ...page, items: page.items.map((record) => showSandbox(core, record, false)) };
    },
  );

  app.get(
    '/v1/sandboxes/:sandbox',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getSandbox',
        summary: 'One sandbox; deleted ones by id for 24 hours',
        tags,
        params: SandboxParams,
        response: { 200: SandboxSchema, ...problemAnswers },
      },
    },
    async (request) => show(await findSandbox(core, request.caller, request.params.sandbox), request),
  );

  app.patch(
    '/v1/sandboxes/:sandbox',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'updateSandbox',
        summary: 'Changes name, labels, timeout or how it rests',
        tags,
        params: SandboxParams,
        body: UpdateSandboxBody,
        response: { 200: SandboxSchema, ...problemAnswers },
      },
    },
    async (request) => show(await updateSandbox(core, request.caller, request.params.sandbox, request.body), request),
  );

  app.post(
    '/v1/sandboxes/:sandbox/start',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'startSandbox',
        summary: 'Boots a stopped sandbox; a paused one goes on from its memory, a running one is fine',
        tags,
        headers: RepeatableHeaders,
        params: SandboxParams,
        querystring: WaitQuery,
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: SandboxSchema, 202: SandboxSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      waitMsOf(request.query.wait);
      const record = await startSandbox(core, request.caller, request.params.sandbox, repeatableOf(request));
      return answer(request, reply, record, 'running', 200);
    },
  );

  app.post(
    '/v1/sandboxes/:sandbox/stop',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'stopSandbox',
        summary: 'Ends what runs and syncs the disk; a paused sandbox loses its memory, a stopped one is fine',
        tags,
        headers: RepeatableHeaders,
        params: SandboxParams,
        querystring: WaitQuery,
        body: StopSandboxBody,
        response: { 200: SandboxSchema, 202: SandboxSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      waitMsOf(request.query.wait);
      const { graceMs } = request.body;
      const record = await stopSandbox(
        core,
        request.caller,
        request.params.sandbox,
        graceMs ?? defaultGraceMs,
        repeatableOf(request),
      );
      return answer(request, reply, record, record.desired === 'deleted' ? 'deleted' : 'stopped', 200);
    },
  );

  app.delete(
    '/v1/sandboxes/:sandbox',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'deleteSandbox',
        summary: 'Deletes a sandbox and its disk',
        tags,
        params: SandboxParams,
        querystring: WaitQuery,
        response: { 200: SandboxSchema, 202: SandboxSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      waitMsOf(request.query.wait);
      const record = await deleteSandbox(core, request.caller, request.params.sandbox);
      return answer(request, reply, record, 'deleted', 200);
    },
  );

  app.get(
    '/v1/sandboxes/:sandbox/logs',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'readSandboxLog',
        summary: 'What the guest and the start command printed',
        tags,
        params: SandboxParams,
        querystring: Type.Object({
          maxBytes: Type.Optional(Type.Integer({ minimum: 1, maximum: 4 * 1024 * 1024, default: defaultLogBytes })),
        }),
        response: { 200: LogSchema, ...problemAnswers },
      },
    },
    async (request) => ({
      text: await readLog(core, request.caller, request.params.sandbox, request.query.maxBytes ?? defaultLogBytes),
    }),
  );
}
