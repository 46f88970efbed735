import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import { Instance, type SandboxView } from './instance.ts';

let skerry: Instance;
let attacker: SandboxView;
let victim: SandboxView;
before(async () => {
  skerry = await Instance.start();
  attacker = await skerry.create({ name: 'attacker' });
  victim = await skerry.create({ name: 'victim' });
  await skerry.exec('victim', 'python3 -m http.server 8000', { detach: true });
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

/** Tries a TCP connection from inside; `open` is the one answer that must not come. */
async function connect(address: string, port: number): Promise<string> {
  const script = `import socket,sys
s=socket.socket(); s.settimeout(2)
try:
  s.connect((sys.argv[1], int(sys.argv[2]))); print('open')
except Exception as e: print(type(e).__name__, e)`;
  const { stdout } = await skerry.exec(attacker.id, ['python3', '-c', script, address, String(port)], {
    timeoutMs: 20_000,
  });
  return stdout.trim();
}

async function hostSideAddress(sandbox: SandboxView): Promise<string> {
  const { stdout } = await (await import('@skerry/kit')).tryCommand('curl', [
    '-s',
    '--unix-socket',
    `${skerry.runDir}/host/host.sock`,
    'http://host/v1/boots',
  ]);
  const boots = (JSON.parse(stdout) as { items: { sandboxId: string; address?: string }[] }).items;
  const address = boots.find((boot) => boot.sandboxId === sandbox.id)?.address;
  assert.ok(address, stdout);
  return address;
}

test('another sandbox cannot be reached by its host-side address, on any port', async () => {
  const address = await hostSideAddress(victim);
  for (const port of [8000, 49983, 49982]) assert.notEqual(await connect(address, port), 'open', `${address}:${port}`);
});

test("the host's services cannot be reached by any of its addresses", async () => {
  const service = createServer((socket) => socket.end('host')).listen(0, '0.0.0.0');
  await once(service, 'listening');
  try {
    const address = service.address();
    assert.ok(address !== null && typeof address !== 'string');
    const own = Object.values(networkInterfaces())
      .flatMap((entries) => entries ?? [])
      .filter((entry) => entry.family === 'IPv4');
    for (const host of [...own.map((entry) => entry.address), '172.31.255.1', '0.0.0.0']) {
      if (host.startsWith('127.') || host === '0.0.0.0') continue;
      for (const port of [address.port, skerry.port])
        assert.notEqual(await connect(host, port), 'open', `${host}:${port}`);
    }
  } finally {
    service.close();
  }
});

test('private ranges, link-local and the metadata address cannot be reached, nor the resolver of the machine', async () => {
  const resolvers = [...(await readFile('/etc/resolv.conf', 'utf8')).matchAll(/^nameserver (\S+)/gm)].map(
    (match) => match[1] ?? '',
  );
  const closed = [
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    ...resolvers.filter((address) => address.startsWith('10.')),
  ];
  for (const address of closed)
    for (const port of [53, 80]) assert.notEqual(await connect(address, port), 'open', `${address}:${port}`);
});

test("the guest's control port answers nothing without its secret, and the gateway does not route to it", async () => {
  const inside = await skerry.sh(
    attacker.id,
    "for path in init info shutdown sync; do curl -s -o /dev/null -w '%{http_code} ' -X POST http://127.0.0.1:49982/$path; done",
  );
  assert.equal(inside, '401 401 401 401 ');
  const response = await fetch(`${skerry.url}/info`, {
    headers: { 'E2b-Sandbox-Id': victim.id, 'E2b-Sandbox-Port': '49982', 'X-Access-Token': victim.accessToken ?? '' },
  });
  assert.ok(response.status === 403 || response.status === 404, String(response.status));
});

test("another sandbox's token opens nothing", async () => {
  const response = await fetch(`${skerry.url}/files?path=/etc/hostname`, {
    headers: { 'E2b-Sandbox-Id': victim.id, 'E2b-Sandbox-Port': '49983', 'X-Access-Token': attacker.accessToken ?? '' },
  });
  assert.equal(response.status, 401);
  const right = await fetch(`${skerry.url}/files?path=/etc/passwd`, {
    headers: { 'E2b-Sandbox-Id': victim.id, 'E2b-Sandbox-Port': '49983', 'X-Access-Token': victim.accessToken ?? '' },
  });
  assert.equal(right.status, 200);
});

test('a port of a sandbox made by /v1 asks for a credential, and never sees an API key', async () => {
  const headers = { 'E2b-Sandbox-Id': victim.id, 'E2b-Sandbox-Port': '8000' };
  assert.equal((await fetch(`${skerry.url}/`, { headers })).status, 401);
  assert.equal((await fetch(`${skerry.url}/`, { headers: { ...headers, 'X-API-Key': skerry.key } })).status, 200);
  await skerry.exec(
    'victim',
    'python3 -c "import http.server as h\nclass S(h.BaseHTTPRequestHandler):\n  def do_GET(s): s.send_response(200); s.end_headers(); s.wfile.write(str(s.headers).encode())\nh.HTTPServer((\'0.0.0.0\', 8001), S).serve_forever()"',
    { detach: true },
  );
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const seen = await (
    await fetch(`${skerry.url}/`, { headers: { ...headers, 'E2b-Sandbox-Port': '8001', 'X-API-Key': skerry.key } })
  ).text();
  assert.match(seen, /Host/i);
  assert.ok(!seen.includes(skerry.key), seen);
});

test('names are resolved inside, and the package managers of Debian, Python and Node reach their registries', async () => {
  await skerry.sh(
    'victim',
    'sudo apt-get update -qq && sudo apt-get install -y -qq tree >/dev/null && tree --version',
    { timeoutMs: 180_000 },
  );
  await skerry.sh('victim', 'pip install --quiet --target ~/libs six && ls ~/libs/six.py', { timeoutMs: 120_000 });
  await skerry.sh(
    'victim',
    'mkdir -p ~/n && cd ~/n && npm init -y >/dev/null && npm install --silent is-odd && node -e "if(!require(\'is-odd\')(3)) process.exit(1)"',
    { timeoutMs: 120_000 },
  );
});

test('what guest root may do does not reach outside: setuid files, checkpoint files, devices', async () => {
  await skerry.exec(
    attacker.id,
    'cp /bin/bash /srv/su; chmod 4755 /srv/su; mknod /srv/disk b 7 0; echo x > /proc/gvisor/checkpoint; ls /dev/kvm /dev/mem /dev/loop0',
    { user: 'root', timeoutMs: 10_000 },
  );
  const mounts = await readFile('/proc/mounts', 'utf8');
  const store = mounts.split('\n').find((line) => line.includes(`${skerry.dataDir}/store`));
  assert.match(store ?? '', /nosuid/);
  assert.match(store ?? '', /nodev/);
  assert.equal(await skerry.sh('victim', 'echo well'), 'well\n');
});
