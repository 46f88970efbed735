import { isId, Problem } from '@skerry/model';
import { guestPort, type Route } from '@skerry/protocol';
import type { SandboxTarget } from '../front/target.ts';
import { type Authorizer, type Caller, missingKey, requireMember, unknownKey } from '../auth/authorizer.ts';
import { carriesApiKey, type Credentials, secretsEqual } from '../auth/credentials.ts';
import { type SandboxFinder, unknownSandbox } from '../routes/find-sandbox.ts';
import type { Upstreams } from './upstreams.ts';
import type { Visit, VisitKind } from './visit.ts';

/** A request that may go to a port of a sandbox, and is under way to it from now on. */
export interface Admission {
  readonly route: Route;
  /** Must be finished. */
  readonly visit: Visit;
  /** Who asked, when an API key let it in: its revocation ends the stream. */
  readonly caller?: Caller;
  /** Token for the guest that the client did not send itself. */
  readonly addToken?: string;
}

/** Port of the code interpreter. It reads the guest's environment with the token that its clients send. */
const codeInterpreterPort = 49999;

export interface AdmitParts {
  readonly finder: SandboxFinder;
  readonly authorizer: Authorizer;
  readonly upstreams: Upstreams;
}

/** A request that needs nothing looked up: the route is known and awake, and the guest or a public port judges it. */
export function admitAtOnce(
  { finder, upstreams }: AdmitParts,
  { sandbox, port }: SandboxTarget,
  kind: VisitKind,
  credentials: Credentials,
): Admission | undefined {
  const route = finder.known(sandbox);
  if (route === undefined) return undefined;
  if (port === guestPort) {
    if (credentials.apiKey !== undefined && credentials.accessToken === undefined) return undefined;
  } else if (route.portAccess !== 'public' && !showsToken(route, credentials)) return undefined;
  const visit = upstreams.to(route).enter(kind);
  return visit === undefined ? undefined : { route, visit };
}

/** Finds the sandbox, waking it if it rests, and decides whether this request may reach this port. Throws a problem when not. */
export async function admit(
  { finder, authorizer, upstreams }: AdmitParts,
  { sandbox, port }: SandboxTarget,
  kind: VisitKind,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<Admission> {
  const named = !isId('sandbox', sandbox);
  const ownToken = credentials.accessToken !== undefined || credentials.trafficToken !== undefined;
  const keyNeeded = named || !ownToken;
  const caller =
    credentials.apiKey !== undefined && keyNeeded ? await authorizer.authorize(credentials.apiKey) : undefined;
  if (named && caller === undefined) throw unknownSandbox(sandbox);
  const judge = (route: Route): Omit<Admission, 'visit'> => {
    if (caller !== undefined && authorizer.isRevoked(caller.keyHash)) throw unknownKey();
    if (caller !== undefined && caller.projectId !== route.projectId) throw unknownSandbox(sandbox);
    const byKey = caller === undefined ? {} : { caller };
    if (port === guestPort) {
      if (caller === undefined || credentials.accessToken !== undefined) return { route, ...byKey };
      requireMember(caller);
      return { route, caller, addToken: route.accessToken };
    }
    if (route.portAccess === 'public') return { route };
    if (showsToken(route, credentials)) return { route };
    if (caller === undefined) throw refused(ownToken, sandbox, port);
    requireMember(caller);
    return { route, caller };
  };
  // Who may not come in wakes nobody, as far as it is known here.
  const known = finder.known(sandbox, caller?.projectId);
  if (known !== undefined) judge(known);
  else if (caller !== undefined) requireMember(caller);
  for (;;) {
    const admitted = judge(await finder.find(sandbox, caller?.projectId, 'request', signal));
    const visit = upstreams.to(admitted.route).enter(kind);
    if (visit !== undefined) return { ...admitted, visit };
  }
}

function showsToken(route: Route, { accessToken, trafficToken }: Credentials): boolean {
  return [accessToken, trafficToken].some((token) => token !== undefined && secretsEqual(token, route.accessToken));
}

function refused(hadToken: boolean, sandbox: string, port: number): Problem {
  if (hadToken)
    return new Problem('forbidden', `The token does not open port ${port} of sandbox "${sandbox}"`, {
      reason: 'wrong_token',
    });
  const missing = missingKey();
  return new Problem(
    'unauthenticated',
    `Port ${port} of sandbox "${sandbox}" is private and the request has no credential`,
    {
      reason: missing.reason,
      hint: 'Send an API key as "Authorization: Bearer KEY", or the sandbox\'s token as "X-Access-Token".',
    },
  );
}

/** Whether a header of a request must not reach this port of the sandbox. */
export function dropsCredential(route: Route, port: number): (name: string, value: string) => boolean {
  return (name, value) => {
    if (carriesApiKey(name, value)) return true;
    if (name === 'e2b-traffic-access-token') return true;
    // Whoever has the guest's token is root in the sandbox; what an application there is sent must not hold it.
    return (
      name === 'x-access-token' &&
      port !== guestPort &&
      port !== codeInterpreterPort &&
      secretsEqual(value, route.accessToken)
    );
  };
}
