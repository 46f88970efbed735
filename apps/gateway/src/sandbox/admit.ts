import { isId, Problem } from '@skerry/model';
import { guestPort, type Route } from '@skerry/protocol';
import { type Authorizer, type Caller, missingKey, requireMember, unknownKey } from '../auth/authorizer.ts';
import { carriesApiKey, type Credentials, secretsEqual } from '../auth/credentials.ts';
import { type SandboxFinder, unknownSandbox } from '../routes/find-sandbox.ts';

/** A request that may go to a port of a sandbox. */
export interface Admission {
  readonly route: Route;
  /** Who asked, when an API key let it in: its revocation ends the stream. */
  readonly caller?: Caller;
  /** Token for the guest that the client did not send itself. */
  readonly addToken?: string;
}

/** Port of the code interpreter. It reads the guest's environment with the token that its clients send. */
const codeInterpreterPort = 49999;

/** A request that needs nothing looked up: the route is known, and the guest or a public port judges it. */
export function admitAtOnce(
  finder: SandboxFinder,
  sandbox: string,
  port: number,
  credentials: Credentials,
): Admission | undefined {
  const route = finder.known(sandbox);
  if (route === undefined) return undefined;
  if (port === guestPort) {
    if (credentials.apiKey !== undefined && credentials.accessToken === undefined) return undefined;
    return { route };
  }
  return route.portAccess === 'public' || showsToken(route, credentials) ? { route } : undefined;
}

/** Finds the sandbox and decides whether this request may reach this port. Throws a problem when not. */
export async function admit(
  finder: SandboxFinder,
  authorizer: Authorizer,
  sandbox: string,
  port: number,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<Admission> {
  const named = !isId('sandbox', sandbox);
  const ownToken = credentials.accessToken !== undefined || credentials.trafficToken !== undefined;
  const keyNeeded = named || !ownToken;
  const caller =
    credentials.apiKey !== undefined && keyNeeded ? await authorizer.authorize(credentials.apiKey) : undefined;
  if (named && caller === undefined) throw unknownSandbox(sandbox);
  const route = await finder.find(sandbox, caller?.projectId, signal);
  if (caller !== undefined && authorizer.isRevoked(caller.keyHash)) throw unknownKey();
  const byKey = caller === undefined ? {} : { caller };
  if (port === guestPort) {
    if (caller === undefined || credentials.accessToken !== undefined) return { route, ...byKey };
    requireMember(caller);
    return { route, caller, addToken: route.accessToken };
  }
  if (route.portAccess === 'public') return { route };
  if (showsToken(route, credentials)) return { route };
  if (caller !== undefined) {
    requireMember(caller);
    return { route, caller };
  }
  throw refused(ownToken, sandbox, port);
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
