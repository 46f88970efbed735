import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '@skerry/kit';
import { isId, Problem } from '@skerry/model';
import { guestPort } from '@skerry/protocol';
import type { Authorizer } from '../auth/authorizer.ts';
import { readCredentials } from '../auth/credentials.ts';
import type { KeyStreams } from '../auth/key-streams.ts';
import { checkRequestTarget, parseRequestPath } from '../front/request-path.ts';
import type { SandboxTarget } from '../front/target.ts';
import { type GuestCallKind, guestCallOf, guestStream, uploadCounter, visitKinds } from '../guest/guest-call.ts';
import { answerProblem } from '../http/answers.ts';
import { clientFacts } from '../http/client-facts.ts';
import { forwardRequestHeaders } from '../http/headers.ts';
import { relay, type RelayFailure } from '../http/relay.ts';
import { whenGone } from '../http/when-gone.ts';
import type { SandboxFinder } from '../routes/find-sandbox.ts';
import { type Admission, admit, admitAtOnce, dropsCredential } from './admit.ts';
import {
  answerUnreachable,
  portBroken,
  portClosed,
  sandboxNotFound,
  sandboxRested,
  sandboxSilent,
} from './bad-gateway.ts';
import type { Upstreams } from './upstreams.ts';

export interface SandboxDoorParts {
  readonly finder: SandboxFinder;
  readonly authorizer: Authorizer;
  readonly upstreams: Upstreams;
  readonly keyStreams: KeyStreams;
  readonly log: Log;
}

/** Paths of the guest's port that E2B keeps to its own host. */
const internalPaths = new Set([
  'init',
  'freeze',
  'unfreeze',
  'fsfreeze',
  'fsthaw',
  'collapse',
  'upgrade',
  'shutdown',
  'sync',
  'info',
]);

/** How long a route may be on its way here from the server, in `ms`. */
const routeDelayMs = 300;

/** Checks a path before it goes to this port. Throws `not_found` for what only the host may call. */
export function checkSandboxPath(target: string, port: number): void {
  if (port !== guestPort) {
    checkRequestTarget(target);
    return;
  }
  const { segments } = parseRequestPath(target);
  if (internalPaths.has((segments[0] ?? '').toLowerCase()))
    throw new Problem('not_found', 'There is no such path', { reason: 'no_such_path' });
}

/** Passes a request to a port of a sandbox. */
export function passToSandbox(
  parts: SandboxDoorParts,
  target: SandboxTarget,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = request.url ?? '';
  checkSandboxPath(path, target.port);
  const call = target.port === guestPort ? guestCallOf(request.method ?? '', path) : 'other';
  const credentials = readCredentials(request.headers);
  const admitted = admitAtOnce(parts, target, visitKinds[call], credentials);
  if (admitted !== undefined) forward(parts, target, call, admitted, request, response);
  else if (call === 'health') passHealth(parts, target, request, response);
  else passLater(parts, target, call, request, response);
}

/** Passes a request once its sandbox is awake. */
function passLater(
  parts: SandboxDoorParts,
  target: SandboxTarget,
  call: GuestCallKind,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const credentials = readCredentials(request.headers);
  admit(parts, target, visitKinds[call], credentials, whenGone(response)).then(
    (admission) => {
      if (response.destroyed) admission.visit.finish();
      else forward(parts, target, call, admission, request, response);
    },
    (error: unknown) => answerRefusal(request, response, target, error, parts.log),
  );
}

/** Whoever asks only whether a sandbox is there wakes none: one that rests in RAM is, one that is paused on disk is not. */
function passHealth(
  parts: SandboxDoorParts,
  target: SandboxTarget,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (!isId('sandbox', target.sandbox)) {
    passLater(parts, target, 'health', request, response);
    return;
  }
  void parts.finder.soon(target.sandbox, routeDelayMs).then((route) => {
    if (response.destroyed) return;
    if (route === undefined) answerUnreachable(request, response, sandboxNotFound(target.sandbox));
    else if (parts.upstreams.to(route).held)
      response.writeHead(204, { 'cache-control': 'no-store', 'access-control-allow-origin': '*' }).end();
    else passLater(parts, target, 'health', request, response);
  });
}

/** Answers for a request that was not let in: a sandbox that is not there or does not run in E2B's words. */
export function answerRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  target: SandboxTarget,
  error: unknown,
  log: Log,
): void {
  const problem = Problem.from(error);
  if (problem.code === 'cancelled') response.destroy();
  else if (problem.code === 'deadline') answerUnreachable(request, response, sandboxSilent(target.sandbox));
  else if (['not_found', 'conflict', 'precondition_failed'].includes(problem.code))
    answerUnreachable(request, response, sandboxNotFound(target.sandbox));
  else answerProblem(request, response, problem, log);
}

/** Headers for the sandbox: credentials of Skerry taken away, the guest's token added where the caller's key earns it. */
export function headersForSandbox(
  target: SandboxTarget,
  { route, addToken }: Admission,
  request: IncomingMessage,
): string[] {
  const dropsSecret = dropsCredential(route, target.port);
  const headers = forwardRequestHeaders(
    request,
    clientFacts(request),
    target.by === 'host'
      ? dropsSecret
      : (name, value) => name === 'e2b-sandbox-id' || name === 'e2b-sandbox-port' || dropsSecret(name, value),
  );
  if (addToken !== undefined) headers.push('X-Access-Token', addToken);
  return headers;
}

function forward(
  parts: SandboxDoorParts,
  target: SandboxTarget,
  call: GuestCallKind,
  admission: Admission,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { route, caller, visit } = admission;
  const streams = call === 'process' || call === 'watch';
  let leave = (): void => undefined;
  const control = relay({
    request,
    response,
    to: { agent: visit.upstream.agent, host: route.address, port: target.port },
    headers: headersForSandbox(target, admission, request),
    onFailure: (failure) => {
      // Nothing was sent and the boot is not the one any more: the request goes where the sandbox is now.
      const now = parts.finder.known(route.sandboxId);
      if (!failure.sent && (visit.ending !== undefined || (now !== undefined && now.bootId !== route.bootId)))
        passLater(parts, target, call, request, response);
      else answerUnreachable(request, response, describeFailure(failure, target));
    },
    onDone: () => leave(),
    ...(streams
      ? { filter: (answer) => guestStream(answer, visit), onBody: uploadCounter(request, visit) }
      : {
          onSocket: (socket) => {
            visit.socket = socket;
          },
        }),
  });
  leave = visit.add(control);
  visit.finish();
  if (caller !== undefined) response.once('close', parts.keyStreams.add(caller.keyHash, control.cut));
}

/** What a client is told when a sandbox gave no answer. */
export function describeFailure(
  failure: RelayFailure,
  { sandbox, port }: SandboxTarget,
): ReturnType<typeof sandboxNotFound> {
  const code = (failure.cause as NodeJS.ErrnoException | undefined)?.code;
  if (failure.kind === 'cut') return sandboxNotFound(sandbox);
  if (failure.kind === 'rest') return sandboxRested(sandbox);
  if (failure.kind === 'refused' && code === 'ECONNREFUSED') return portClosed(sandbox, port);
  if (failure.kind === 'refused' || failure.kind === 'timeout') return sandboxSilent(sandbox);
  return portBroken(sandbox, port);
}
