import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { guestPort } from '@skerry/protocol';
import type { Authorizer } from '../auth/authorizer.ts';
import { readCredentials } from '../auth/credentials.ts';
import type { KeyStreams } from '../auth/key-streams.ts';
import { checkRequestTarget, parseRequestPath } from '../front/request-path.ts';
import type { Target } from '../front/target.ts';
import { answerProblem } from '../http/answers.ts';
import { clientFacts } from '../http/client-facts.ts';
import { forwardRequestHeaders } from '../http/headers.ts';
import { relay, type RelayFailure } from '../http/relay.ts';
import { whenGone } from '../http/when-gone.ts';
import type { SandboxFinder } from '../routes/find-sandbox.ts';
import { type Admission, admit, admitAtOnce, dropsCredential } from './admit.ts';
import { answerUnreachable, portBroken, portClosed, sandboxNotFound, sandboxSilent } from './bad-gateway.ts';
import type { Upstreams } from './upstreams.ts';

export interface SandboxDoorParts {
  readonly finder: SandboxFinder;
  readonly authorizer: Authorizer;
  readonly upstreams: Upstreams;
  readonly keyStreams: KeyStreams;
  readonly log: Log;
}
export type SandboxTarget = Extract<Target, { kind: 'sandbox' }>;

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
  checkSandboxPath(request.url ?? '', target.port);
  const credentials = readCredentials(request.headers);
  const admitted = admitAtOnce(parts.finder, target.sandbox, target.port, credentials);
  if (admitted !== undefined) {
    forward(parts, target, admitted, request, response);
    return;
  }
  admit(parts.finder, parts.authorizer, target.sandbox, target.port, credentials, whenGone(response)).then(
    (admission) => {
      if (!response.destroyed) forward(parts, target, admission, request, response);
    },
    (error: unknown) => answerRefusal(request, response, target, error, parts.log),
  );
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
  else if (['not_found', 'conflict', 'precondition_failed', 'deadline'].includes(problem.code))
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
  admission: Admission,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { route, caller } = admission;
  const upstream = parts.upstreams.to(route);
  const cut = relay({
    request,
    response,
    to: { agent: upstream.agent, host: route.address, port: target.port },
    headers: headersForSandbox(target, admission, request),
    onFailure: (failure) => answerUnreachable(request, response, describeFailure(failure, target)),
  });
  const forget = upstream.cuts.add(cut);
  const forgetKey = caller === undefined ? undefined : parts.keyStreams.add(caller.keyHash, cut);
  response.once('close', () => {
    forget();
    forgetKey?.();
  });
}

/** What a client is told when a sandbox gave no answer. */
export function describeFailure(
  failure: RelayFailure,
  { sandbox, port }: SandboxTarget,
): ReturnType<typeof sandboxNotFound> {
  const code = (failure.cause as NodeJS.ErrnoException | undefined)?.code;
  if (failure.kind === 'cut') return sandboxNotFound(sandbox);
  if (failure.kind === 'refused' && code === 'ECONNREFUSED') return portClosed(sandbox, port);
  if (failure.kind === 'refused' || failure.kind === 'timeout') return sandboxSilent(sandbox);
  return portBroken(sandbox, port);
}
