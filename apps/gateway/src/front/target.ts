import { isIP } from 'node:net';
import { Problem } from '@skerry/model';
import { guestControlPort, guestPort } from '@skerry/protocol';

/** Where a request wants to go. */
export type Target =
  | { readonly kind: 'api' }
  /** `sandbox` is an id or a name, as the client wrote it. */
  | { readonly kind: 'sandbox'; readonly sandbox: string; readonly port: number; readonly by: 'host' | 'header' };

export type SandboxTarget = Extract<Target, { kind: 'sandbox' }>;

const api: Target = { kind: 'api' };
const hostPattern = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;
const referencePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Tells API and sandboxes apart by host name and E2B's headers. A host `PORT-ID.domain` decides alone: a page that a sandbox serves
 * cannot name another one by header. Everywhere else the headers decide. Throws a problem for a host or a port that cannot be.
 */
export function chooseTarget(
  host: string | undefined,
  headerId: string | undefined,
  headerPort: string | undefined,
  domain: string,
): Target {
  const name = hostName(host);
  if (name.endsWith(`.${domain}`)) {
    const label = name.slice(0, -domain.length - 1);
    const match = /^([0-9]{1,5})-([a-z0-9-]+)$/.exec(label);
    if (match !== null) return sandboxTarget(match[2] ?? '', match[1] ?? '', 'host');
    if (label !== 'api' && label !== 'sandbox')
      throw new Problem('not_found', `Nothing is served at "${name}"`, {
        reason: 'unknown_host',
        hint: `Use "${domain}" for the API and "PORT-ID.${domain}" for a port of a sandbox.`,
      });
  }
  if (headerId === undefined) {
    if (headerPort === undefined) return api;
    throw new Problem('invalid', 'The header "E2b-Sandbox-Port" came without "E2b-Sandbox-Id"', {
      reason: 'invalid_sandbox_header',
    });
  }
  return sandboxTarget(headerId.trim().toLowerCase(), headerPort ?? String(guestPort), 'header');
}

function hostName(host: string | undefined): string {
  const text = (host ?? '').toLowerCase();
  if (!hostPattern.test(text))
    throw new Problem('invalid', 'The "Host" header is not valid', { reason: 'invalid_host' });
  const name = text.replace(/:[0-9]{1,5}$/, '').replace(/\.$/, '');
  if (name.startsWith('[') && isIP(name.slice(1, -1)) !== 6)
    throw new Problem('invalid', 'The "Host" header is not valid', { reason: 'invalid_host' });
  return name;
}

function sandboxTarget(sandbox: string, portText: string, by: 'host' | 'header'): Target {
  if (!referencePattern.test(sandbox))
    throw new Problem('invalid', `"${sandbox.slice(0, 80)}" is neither id nor name of a sandbox`, {
      reason: 'invalid_sandbox',
    });
  const port = /^[0-9]{1,5}$/.test(portText.trim()) ? Number(portText) : 0;
  if (port < 1 || port > 65535)
    throw new Problem('invalid', `"${portText.slice(0, 20)}" is not a port`, {
      reason: 'invalid_port',
      hint: 'Use 1 to 65535.',
    });
  if (port === guestControlPort)
    throw new Problem('forbidden', `Port ${guestControlPort} of a sandbox is reserved`, { reason: 'reserved_port' });
  return { kind: 'sandbox', sandbox, port, by };
}
