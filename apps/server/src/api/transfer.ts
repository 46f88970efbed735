import { Readable } from 'node:stream';
import { type Sandbox, SandboxSchema, WaitQuery } from '@skerry/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type Export, exportSandbox, exportSnapshot } from '../actions/transfer/export.ts';
import { importSandbox } from '../actions/transfer/import.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { goneSignal, waitMsOf } from './call.ts';
import { sandboxAnswers } from './sandbox-answer.ts';
import { problemAnswers, SandboxParams } from './schemas.ts';

const tags = ['transfer'];
const fileType = 'application/zstd';
const ExportQuery = Type.Object({
  memory: Type.Optional(Type.Boolean({ default: false, description: 'With its memory, where there is some.' })),
});
const ExportedFile = {
  200: {
    description: 'The file: zstd over tar.',
    content: { [fileType]: { schema: Type.Unsafe({ type: 'string', format: 'binary' }) } },
  },
  ...problemAnswers,
};

export function transferRoutes(app: App, core: Core): void {
  app.get(
    '/v1/sandboxes/:sandbox/export',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'exportSandbox',
        summary: 'The sandbox as it is now, as one file',
        tags,
        params: SandboxParams,
        querystring: ExportQuery,
        response: ExportedFile,
      },
    },
    async (request, reply) => {
      const { caller, params, query } = request;
      return send(reply, await exportSandbox(core, caller, params.sandbox, query.memory ?? false, goneSignal(request)));
    },
  );

  app.get(
    '/v1/snapshots/:snapshot/export',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'exportSnapshot',
        summary: 'A snapshot as one file',
        tags,
        params: Type.Object({ snapshot: Type.String({ description: 'Id or name.' }) }),
        querystring: ExportQuery,
        response: ExportedFile,
      },
    },
    async (request, reply) => {
      const { caller, params, query } = request;
      return send(
        reply,
        await exportSnapshot(core, caller, params.snapshot, query.memory ?? false, goneSignal(request)),
      );
    },
  );

  void app.register(async (scope) => {
    // The file goes straight to the host, whatever its size: it is neither gathered nor judged here.
    scope.addContentTypeParser([fileType, 'application/octet-stream'], (_request, payload, done) =>
      done(null, payload),
    );
    importRoute(scope as App, core);
  });
}

function importRoute(app: App, core: Core): void {
  app.post(
    '/v1/import',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'importSandbox',
        summary: 'Makes a sandbox from a file that an export wrote',
        tags,
        consumes: [fileType, 'application/octet-stream'],
        querystring: Type.Object({
          ...WaitQuery.properties,
          name: Type.Optional(
            Type.String({ description: 'As it was where it comes from by default, or made up when that is taken.' }),
          ),
          start: Type.Optional(Type.Boolean({ default: true })),
        }),
        response: { 201: SandboxSchema, 202: SandboxSchema, ...problemAnswers },
      },
    },
    async (request, reply): Promise<Sandbox> => {
      const { wait, name, start = true } = request.query;
      waitMsOf(wait);
      const record = await importSandbox(core, request.caller, { name, start }, bodyOf(request), goneSignal(request));
      const goal = record.desired === 'running' ? 'running' : record.desired === 'paused' ? 'paused' : 'stopped';
      return sandboxAnswers(core).answer(request, reply, record, goal, 201);
    },
  );
}

async function* bodyOf(request: FastifyRequest): AsyncGenerator<Uint8Array> {
  if (request.body instanceof Readable) yield* request.body as AsyncIterable<Uint8Array>;
}

/** Sends a file as it is made. One that breaks off has no end, and so is seen to be broken. */
function send(reply: FastifyReply, { fileName, content, close }: Export): FastifyReply {
  const file = Readable.from(content, { objectMode: false });
  file.once('close', () => {
    close().catch((error: unknown) => reply.log.warn({ err: error }, 'What an export used could not be given up now'));
  });
  return reply
    .header('content-type', fileType)
    .header('content-disposition', `attachment; filename="${fileName}"`)
    .send(file);
}
