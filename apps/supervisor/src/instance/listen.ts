import { createServer, isIP } from 'node:net';
import { Problem } from '@skerry/model';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export const defaultListen: ListenAddress = { host: '127.0.0.1', port: 7070 };

/** Reads `HOST:PORT`, `[IPV6]:PORT` or `:PORT` (loopback). Throws `invalid`. */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? (match?.[2] === '' ? '127.0.0.1' : match?.[2]);
  if (match === null || host === undefined || port < 1 || port > 65_535 || (match[1] !== undefined && isIP(host) !== 6))
    throw new Problem('invalid', `"${text}" is no address to listen on`, {
      reason: 'invalid_listen',
      hint: 'Give HOST:PORT, such as 127.0.0.1:7070 or [::1]:7070.',
    });
  return { host, port };
}

export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Address for clients on this machine. */
export function localUrl({ host, port }: ListenAddress): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (host === '::') return `http://[::1]:${port}`;
  return `http://${formatListen({ host, port })}`;
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Refuses to put keys and files on a network in the clear, unless the operator says so. */
export function refuseOpenListen(listen: ListenAddress, insecure: boolean): void {
  if (insecure || isLoopback(listen.host)) return;
  throw new Problem(
    'precondition_failed',
    `Listening on "${listen.host}" would send keys and files over the network unencrypted`,
    {
      reason: 'insecure_listen',
      hint: 'Listen on 127.0.0.1 behind a TLS proxy, or add --insecure if you trust this network.',
    },
  );
}

/** Throws when the address cannot be listened on now. */
export async function refuseTakenPort(listen: ListenAddress): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'another program listens there' : (cause.code ?? cause.message);
      reject(
        new Problem('precondition_failed', `Cannot listen on ${formatListen(listen)}: ${why}`, {
          reason: 'port_taken',
          hint: `Choose another address with --listen, such as ${formatListen({ ...listen, port: listen.port + 1 })}, or find the program with "ss -ltnp 'sport = :${listen.port}'".`,
          cause,
        }),
      );
    });
    server.listen({ host: listen.host, port: listen.port, exclusive: true }, () => server.close(() => resolve()));
  });
}
