import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Sandbox } from 'e2b';
import type { Instance, SandboxView } from './instance.ts';

/** What E2B's clients ask for a sandbox's token before they go to it. That surface is not built yet: this one answers for one sandbox made by `/v1`. */
export interface E2bControl extends AsyncDisposable {
  readonly apiUrl: string;
}

export async function startE2bControl(made: SandboxView): Promise<E2bControl> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        sandboxID: made.id,
        templateID: 'base',
        clientID: 'skerry',
        envdVersion: '0.6.13',
        envdAccessToken: made.accessToken,
      }),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  return {
    apiUrl: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The official npm client, on a sandbox. */
export function connectE2b(skerry: Instance, made: SandboxView, control: E2bControl): Promise<Sandbox> {
  return Sandbox.connect(made.id, {
    apiKey: `e2b_${'0'.repeat(40)}`,
    apiUrl: control.apiUrl,
    sandboxUrl: skerry.url,
  });
}
