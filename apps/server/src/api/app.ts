import { createHash } from 'node:crypto';
import fastifySwagger from '@fastify/swagger';
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import { Problem, randomLabel } from '@skerry/model';
import type { KeyRole } from '@skerry/protocol';
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  fastify,
  LogController,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
  type RawServerDefault,
} from 'fastify';
import { keyOf } from '../auth/credentials.ts';
import type { Caller } from '../auth/key-cache.ts';
import { requireRole } from '../auth/roles.ts';
import type { Core } from '../core.ts';
import { activityRoutes } from './activity.ts';
import { endGoneSignal } from './call.ts';
import { diffRoutes } from './diff.ts';
import { eventRoutes } from './events.ts';
import { garbageRoutes } from './garbage.ts';
import { keyRoutes } from './keys.ts';
import { memoryRoutes } from './memory.ts';
import { openapiInfo } from './openapi.ts';
import { sendProblem } from './problems.ts';
import { sandboxRoutes } from './sandboxes.ts';
import { snapshotRoutes } from './snapshots.ts';
import { systemRoutes } from './system.ts';
import { transferRoutes } from './transfer.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The weakest role that may call; absent on routes that need no key. */
    readonly role?: KeyRole;
  }
  interface FastifyRequest {
    /** Who calls; set on every route that needs a key. */
    caller: Caller;
    /** Digest of the body as it was sent; empty without one. */
    bodyHash: string;
  }
}

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

const maxBodyBytes = 1024 * 1024;

/** Makes the public API, not yet listening. */
export async function createApp(core: Core): Promise<App> {
  const app = fastify({
    loggerInstance: core.log.child({ part: 'api' }, { level: 'warn' }) as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    genReqId: () => `rq${randomLabel(20)}`,
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
  })
    .withTypeProvider<TypeBoxTypeProvider>()
    .setValidatorCompiler(TypeBoxValidatorCompiler)
    .setSerializerCompiler(() => JSON.stringify);

  readBodies(app);
  app.addHook('onResponse', async (request) => endGoneSignal(request));
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request) => {
    throw new Problem('not_found', `There is no "${request.method} ${request.url.split('?')[0] ?? ''}"`, {
      reason: 'route_not_found',
      hint: 'The calls are listed in docs/api.md and openapi/v1.json.',
    });
  });
  guard(app, core);
  await app.register(fastifySwagger, openapiInfo);
  await app.register(async (scope) => {
    const routes = scope.withTypeProvider<TypeBoxTypeProvider>();
    sandboxRoutes(routes, core);
    memoryRoutes(routes, core);
    snapshotRoutes(routes, core);
    activityRoutes(routes, core);
    diffRoutes(routes, core);
    transferRoutes(routes, core);
    eventRoutes(routes, core);
    keyRoutes(routes, core);
    systemRoutes(routes, core);
    garbageRoutes(routes, core);
  });
  await app.ready();
  return app;
}

/** JSON only; no body is an empty object, so that calls whose fields are all optional need none. */
function readBodies(app: App): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.decorateRequest('bodyHash', '');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body.toString();
    request.bodyHash = createHash('sha256').update(text).digest('hex');
    if (text.trim() === '') done(null, {});
    else void parse(request, text, done);
  });
  app.addHook('preValidation', async (request) => {
    if (request.body === undefined && request.routeOptions.schema?.body !== undefined) request.body = {};
  });
}

/** Finds out who calls before anything is read, and refuses who may not. */
function guard(app: App, core: Core): void {
  app.decorateRequest('caller');
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
    const { role } = request.routeOptions.config;
    if (role === undefined && request.url.split('?')[0] === '/health') return;
    request.caller = await core.keys.authenticate(keyOf(request.headers));
    if (role !== undefined) requireRole(request.caller.role, role);
  });
}
