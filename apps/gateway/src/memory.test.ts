import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FakeServer } from './testing/fake-server.ts';
import { until } from './testing/bench.ts';
import { open } from './testing/raw.ts';

/** `SKERRY_SOAK=1` passes all of it; otherwise a slice. */
const soak = process.env['SKERRY_SOAK'] === '1';
const totalBytes = (soak ? 1024 : 256) * 1024 * 1024;
const slowClients = soak ? 200 : 20;
const mostGrowthKiB = 128 * 1024;

test('a gateway passes much more than its memory each way, with slow heads beside it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gateway-soak-'));
  const server = new FakeServer(directory);
  await server.start();
  const config = {
    version: 1,
    instance: 'soak00',
    listenHost: '127.0.0.1',
    listenPort: 0,
    domain: 'skerry.localhost',
    apiSocket: server.apiSocket,
    gatewaySocket: server.gatewaySocket,
    logLevel: 'info',
  };
  await writeFile(join(directory, 'config.json'), JSON.stringify(config));
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('main.ts', import.meta.url)), '--config', join(directory, 'config.json')],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const inside = createServer((incoming, response) => void incoming.pipe(response));
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const { port } = JSON.parse(line.toString()) as { port: number };
    await until(() => server.feedCount === 1);
    inside.listen(8088, '127.77.2.9');
    await once(inside, 'listening');
    const route = server.addRoute('127.77.2.9', { portAccess: 'public' });
    const residentKiB = async (): Promise<number> =>
      Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1]);
    const before = await residentKiB();
    const slow = await Promise.all(Array.from({ length: slowClients }, async () => await open(port)));
    for (const socket of slow) socket.write('GET / HTTP/1.1\r\nHost: local');
    const outgoing = request({
      port,
      method: 'POST',
      headers: { 'e2b-sandbox-id': route.sandboxId, 'e2b-sandbox-port': '8088', 'content-length': totalBytes },
    });
    const chunk = Buffer.alloc(1024 * 1024, 7);
    const sending = (async () => {
      for (let sent = 0; sent < totalBytes; sent += chunk.length)
        if (!outgoing.write(chunk)) await once(outgoing, 'drain');
      outgoing.end();
    })();
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    let received = 0;
    for await (const part of incoming as AsyncIterable<Buffer>) received += part.length;
    await sending;
    assert.equal(received, totalBytes);
    const growth = (await residentKiB()) - before;
    assert.ok(growth < mostGrowthKiB, `The gateway grew by ${growth} KiB`);
    // The time for a head is 15 s: only the whole run waits for it.
    if (soak)
      await Promise.all(slow.map(async (socket) => void (socket.closed || (await once(socket.resume(), 'close')))));
    else for (const socket of slow) socket.destroy();
  } finally {
    child.kill('SIGKILL');
    inside.close();
    inside.closeAllConnections();
    await server.stop();
    await rm(directory, { recursive: true });
  }
});
