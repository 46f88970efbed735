import type { IncomingMessage, ServerResponse } from 'node:http';
import { Problem } from '@skerry/model';
import { type Caller, missingKey, requireMember, unknownKey } from '../auth/authorizer.ts';
import { readCredentials } from '../auth/credentials.ts';
import { maxExecBodyBytes, parseExecBody, serveExec } from '../exec/serve-exec.ts';
import { parseFileQuery } from '../files/file-query.ts';
import { serveFiles } from '../files/serve-files.ts';
import type { DataPlane } from '../front/front-door.ts';
import { GuestClient } from '../guest/guest-client.ts';
import { answerProblem } from '../http/answers.ts';
import { readJsonBody } from '../http/read-body.ts';
import { whenGone } from '../http/when-gone.ts';
import type { SandboxDoorParts } from './sandbox-door.ts';
import type { VisitKind } from './visit.ts';

const methods: Record<string, readonly string[]> = { exec: ['POST'], files: ['GET', 'PUT', 'DELETE'] };

/** Answers `/v1/sandboxes/{id}/exec` and `/files`, acting as a client of the guest. */
export function createDataPlane(parts: SandboxDoorParts): DataPlane {
  return (request, response, { segments, query }) => {
    const [version, noun, sandbox = '', verb = ''] = segments;
    const allowed = Object.hasOwn(methods, verb) ? methods[verb] : undefined;
    if (segments.length !== 4 || version !== 'v1' || noun !== 'sandboxes' || allowed === undefined) return false;
    if (!allowed.includes(request.method ?? ''))
      throw new Problem('not_found', `There is no "${request.method} /v1/sandboxes/{id}/${verb}"`, {
        reason: 'no_such_call',
        hint: `Use ${allowed.join(', ')}.`,
      });
    const signal = whenGone(response);
    serve(parts, verb, sandbox, query, request, response, signal).catch((error: unknown) => {
      if (signal.aborted) response.destroy();
      else answerProblem(request, response, error, parts.log);
    });
    return true;
  };
}

async function serve(
  parts: SandboxDoorParts,
  verb: string,
  sandbox: string,
  query: string,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const caller = await callerOf(parts, request);
  requireMember(caller);
  const forgetKey = parts.keyStreams.add(caller.keyHash, () => response.destroy());
  response.once('close', forgetKey);
  if (verb === 'exec') {
    continueBody(request, response);
    const body = parseExecBody(await readJsonBody(request, maxExecBodyBytes));
    await withGuest(parts, sandbox, caller, 'attached', signal, (guest) =>
      serveExec(guest, body, request, response, signal),
    );
    return;
  }
  const fileQuery = parseFileQuery(query);
  await withGuest(parts, sandbox, caller, 'request', signal, async (guest) => {
    continueBody(request, response);
    await serveFiles(guest, fileQuery, request, response, signal);
  });
}

async function callerOf({ authorizer }: SandboxDoorParts, request: IncomingMessage): Promise<Caller> {
  const { apiKey } = readCredentials(request.headers);
  if (apiKey !== undefined) return await authorizer.authorize(apiKey);
  const { authorization } = request.headers;
  throw request.headers['x-api-key'] === undefined && authorization === undefined ? missingKey() : unknownKey();
}

/** Calls `use` with the guest of a sandbox that is awake, and counts a visit to it meanwhile. */
async function withGuest(
  { finder, authorizer, upstreams }: SandboxDoorParts,
  sandbox: string,
  caller: Caller,
  kind: VisitKind,
  signal: AbortSignal,
  use: (guest: GuestClient) => Promise<void>,
): Promise<void> {
  for (;;) {
    const route = await finder.find(sandbox, caller.projectId, 'api', signal);
    if (authorizer.isRevoked(caller.keyHash)) throw unknownKey();
    const visit = upstreams.to(route).enter(kind);
    if (visit === undefined) continue;
    try {
      await use(new GuestClient(route, visit));
    } finally {
      visit.finish();
    }
    return;
  }
}

/** Tells a client that waits with its body to send it. */
function continueBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect?.toLowerCase() !== '100-continue') return;
  response.shouldKeepAlive = true;
  response.writeContinue();
}
