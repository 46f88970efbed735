import { ActivitySchema, CreateHoldBody, HoldSchema } from '@skerry/protocol';
import { Type } from 'typebox';
import { showActivity } from '../actions/activity/show.ts';
import { createHold } from '../actions/hold/create.ts';
import { releaseHolds } from '../actions/hold/release.ts';
import { showHold } from '../actions/hold/show.ts';
import type { Core } from '../core.ts';
import type { App } from './app.ts';
import { repeatableOf } from './call.ts';
import { problemAnswers, RepeatableHeaders, SandboxParams } from './schemas.ts';

const tags = ['activity'];
const Nothing = Type.Object({}, { additionalProperties: false });

export function activityRoutes(app: App, core: Core): void {
  app.get(
    '/v1/sandboxes/:sandbox/activity',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getActivity',
        summary: 'Why it is awake, when and how it rests, what would wake it, and what it has cost',
        tags,
        params: SandboxParams,
        response: { 200: ActivitySchema, ...problemAnswers },
      },
    },
    async (request) => showActivity(core, request.caller, request.params.sandbox),
  );

  app.post(
    '/v1/sandboxes/:sandbox/holds',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'createHold',
        summary: 'Keeps it awake for a time',
        tags,
        headers: RepeatableHeaders,
        params: SandboxParams,
        body: CreateHoldBody,
        response: { 201: HoldSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      const { caller, params, body } = request;
      const hold = await createHold(core, caller, params.sandbox, body, repeatableOf(request));
      return reply.status(201).send(showHold(hold));
    },
  );

  app.delete(
    '/v1/sandboxes/:sandbox/holds',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'releaseHolds',
        summary: 'Ends all its holds; that there is none is fine',
        tags,
        params: SandboxParams,
        response: { 200: Nothing, ...problemAnswers },
      },
    },
    async (request) => {
      await releaseHolds(core, request.caller, request.params.sandbox, undefined);
      return {};
    },
  );

  app.delete(
    '/v1/sandboxes/:sandbox/holds/:hold',
    {
      config: { role: 'member' },
      schema: {
        operationId: 'releaseHold',
        summary: 'Ends one hold; an absent one is fine',
        tags,
        params: Type.Object({ ...SandboxParams.properties, hold: Type.String({ description: 'Id.' }) }),
        response: { 200: Nothing, ...problemAnswers },
      },
    },
    async (request) => {
      await releaseHolds(core, request.caller, request.params.sandbox, request.params.hold);
      return {};
    },
  );
}
