import {
  CreateSnapshotBody,
  ListQuery,
  ListSnapshotsQuery,
  SnapshotListSchema,
  SnapshotSchema,
  WaitQuery,
} from '@skerry/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { createSnapshot } from '../actions/snapshot/create.ts';
import { deleteSnapshot } from '../actions/snapshot/delete.ts';
import { findSnapshot } from '../actions/snapshot/find.ts';
import { type ListSnapshots, listSnapshots } from '../actions/snapshot/list.ts';
import { seeSnapshot } from '../actions/snapshot/see.ts';
import { showSnapshot } from '../actions/snapshot/show.ts';
import { verifySnapshot } from '../actions/snapshot/verify.ts';
import { waitForSnapshot } from '../actions/snapshot/wait.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { goneSignal, repeatableOf, waitMsOf } from './call.ts';
import { problemAnswers, RepeatableHeaders, SandboxParams } from './schemas.ts';

const tags = ['snapshots'];
const SnapshotParams = Type.Object({ snapshot: Type.String({ description: 'Id or name.' }) });

export function snapshotRoutes(app: App, core: Core): void {
  /** One page, with sizes of now where the backend answers. */
  async function page(request: FastifyRequest, query: ListSnapshots) {
    const found = await listSnapshots(core, request.caller, query);
    const items = await Promise.all(
      found.items.map(async (record) => showSnapshot(record, await seeSnapshot(core, record))),
    );
    return { ...found, items };
  }

  async function answer(reply: FastifyReply, status: number, find: ReturnType<typeof findSnapshot>) {
    const record = await find;
    void reply.status(status);
    return showSnapshot(record, await seeSnapshot(core, record));
  }

  app.post(
    '/v1/sandboxes/:sandbox/snapshots',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'createSnapshot',
        summary: 'Saves a sandbox as it is now; it goes on',
        tags,
        headers: RepeatableHeaders,
        params: SandboxParams,
        querystring: WaitQuery,
        body: CreateSnapshotBody,
        response: { 201: SnapshotSchema, 202: SnapshotSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      const waitMs = waitMsOf(request.query.wait);
      const { sandbox } = request.params;
      const made = await createSnapshot(core, request.caller, sandbox, request.body, repeatableOf(request));
      const { record, reached } = await waitForSnapshot(core, made, waitMs, goneSignal(request));
      return answer(reply, reached ? 201 : 202, Promise.resolve(record));
    },
  );

  app.get(
    '/v1/sandboxes/:sandbox/snapshots',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listSandboxSnapshots',
        summary: 'Snapshots of one sandbox, newest first',
        tags,
        params: SandboxParams,
        querystring: Type.Object({ ...ListQuery.properties, all: ListSnapshotsQuery.properties.all }),
        response: { 200: SnapshotListSchema, ...problemAnswers },
      },
    },
    async (request) => page(request, { ...request.query, sandbox: request.params.sandbox }),
  );

  app.get(
    '/v1/snapshots',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listSnapshots',
        summary: 'Snapshots of the project, newest first',
        tags,
        querystring: ListSnapshotsQuery,
        response: { 200: SnapshotListSchema, ...problemAnswers },
      },
    },
    async (request) => page(request, request.query),
  );

  app.get(
    '/v1/snapshots/:snapshot',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getSnapshot',
        summary: 'One snapshot',
        tags,
        params: SnapshotParams,
        response: { 200: SnapshotSchema, ...problemAnswers },
      },
    },
    async (request, reply) => answer(reply, 200, findSnapshot(core, request.caller, request.params.snapshot)),
  );

  app.delete(
    '/v1/snapshots/:snapshot',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'deleteSnapshot',
        summary: 'Deletes a snapshot; what was made from it stays whole',
        tags,
        params: SnapshotParams,
        response: { 200: SnapshotSchema, 202: SnapshotSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      const { record, gone } = await deleteSnapshot(core, request.caller, request.params.snapshot);
      return answer(reply, gone ? 200 : 202, Promise.resolve(record));
    },
  );

  app.post(
    '/v1/snapshots/:snapshot/verify',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'verifySnapshot',
        summary: 'Reads all of a snapshot and compares it with its digests',
        tags,
        params: SnapshotParams,
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: SnapshotSchema, ...problemAnswers },
      },
    },
    async (request, reply) =>
      answer(reply, 200, verifySnapshot(core, request.caller, request.params.snapshot, goneSignal(request))),
  );
}
