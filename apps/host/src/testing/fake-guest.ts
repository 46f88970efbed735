import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { guestControlPort } from '../guest/guest-control.ts';

export interface FakeGuestCall {
  readonly path: string;
  readonly secret: string | undefined;
  readonly body: Record<string, unknown>;
}

/** The control port of a guest on a loopback address of its own. What it answers can be changed. */
export class FakeGuest implements AsyncDisposable {
  readonly calls: FakeGuestCall[] = [];
  /** Status and body of `/init`; `undefined` never answers. */
  init: { readonly status: number; readonly body: unknown } | undefined = {
    status: 200,
    body: { guestVersion: 'fake', protocolVersion: 1, envdVersion: '0' },
  };
  /** Called at `/shutdown`; when it resolves the answer is sent. */
  shutdown: (graceMs: number) => Promise<void> = async () => undefined;
  /** Status of the answer to `/suspend`; `undefined` never answers. */
  suspendStatus: number | undefined = 200;
  /** Whether it holds requests back now. */
  held = false;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
        const path = request.url ?? '';
        this.calls.push({ path, secret: request.headers['x-skerry-boot-secret']?.toString(), body });
        if (path === '/init' && this.init !== undefined)
          response.writeHead(this.init.status).end(JSON.stringify(this.init.body));
        if (path === '/init') this.held = false;
        if (path === '/suspend' && this.suspendStatus !== undefined) {
          this.held = this.suspendStatus === 200;
          response.writeHead(this.suspendStatus).end('{"hooks":[]}');
        }
        if (path === '/resume') {
          this.held = false;
          response.writeHead(200).end('{}');
        }
        if (path === '/shutdown')
          void this.shutdown(Number(body['graceMs'])).then(() => response.writeHead(200).end('{"killed":0}'));
      });
    });
  }

  static async listen(address: string): Promise<FakeGuest> {
    const guest = new FakeGuest();
    guest.#server.listen(guestControlPort, address);
    await once(guest.#server, 'listening');
    return guest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
