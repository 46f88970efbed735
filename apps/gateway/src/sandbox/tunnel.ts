import type { Duplex } from 'node:stream';
import type { EndReason, Visit, Visitor } from './visit.ts';
import { closeFrame, WebSocketScanner } from './web-socket-scanner.ts';

/** Time for what a boot that is gone had sent, in `ms`. */
const settleMs = 100;
/** How long either side may take for the rest once the end was sent, in `ms`. */
const lingerMs = { client: 5000, sandbox: 500 } as const;

/** What came of each side's bytes with the heads of request and answer. */
export interface TunnelHeads {
  readonly client: Buffer;
  readonly sandbox: Buffer;
}

/**
 * Joins a client's upgraded connection with one into a sandbox: bytes both ways with back-pressure, half-closes passed on, and each one's end by force
 * is the other's. Counts what moves for the visit. A WebSocket's pings are no work, and it is ended with a close frame.
 */
export function tunnel(visit: Visit, client: Duplex, sandbox: Duplex, webSocket: boolean, heads: TunnelHeads): Visitor {
  const up = webSocket ? new WebSocketScanner() : undefined;
  const down = webSocket ? new WebSocketScanner() : undefined;
  let ending = false;
  for (const [from, to, scanner, head] of [
    [client, sandbox, up, heads.client],
    [sandbox, client, down, heads.sandbox],
  ] as const) {
    const count = (chunk: Buffer): void => {
      const before = scanner?.workBytes ?? 0;
      scanner?.scan(chunk);
      visit.moved += scanner === undefined ? chunk.length : scanner.workBytes - before;
    };
    if (head.length > 0) {
      count(head);
      to.write(head);
    }
    from.on('error', () => ending || to.destroy());
    from.once('close', () => ending || to.destroy());
    from.on('data', count);
    from.pipe(to);
  }

  const close = (): void => {
    if (down?.atBoundary === true && client.writable) client.write(closeFrame(false));
    client.end();
    setTimeout(() => client.destroy(), lingerMs.client).unref();
    if (up?.atBoundary === true && sandbox.writable) sandbox.write(closeFrame(true));
    sandbox.end(() => sandbox.destroy());
    setTimeout(() => sandbox.destroy(), lingerMs.sandbox).unref();
  };
  return {
    cut() {
      sandbox.destroy();
      client.destroy();
    },
    end(why: EndReason) {
      if (ending) return;
      ending = true;
      client.unpipe();
      client.resume();
      // What is here already is passed on, however slow the client is.
      sandbox.unpipe();
      sandbox.on('data', (chunk: Buffer) => {
        if (client.writable) client.write(chunk);
      });
      sandbox.resume();
      client.once('close', () => sandbox.destroy());
      setTimeout(close, why === 'gone' ? settleMs : 0);
    },
  };
}
