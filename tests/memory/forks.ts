/** Forks of one running sandbox at once: each its own identity, and none sees the others. */
import assert from 'node:assert/strict';
import type { Instance, SandboxView } from '../e2e/instance.ts';

/** Draws random numbers when asked, with generators that were seeded before the fork. */
const drawer = `import http.server, uuid, os, socket, json
class Drawer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({'uuid': str(uuid.uuid4()), 'random': os.urandom(8).hex(), 'host': socket.gethostname()}).encode()
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
str(uuid.uuid4())
http.server.HTTPServer(('127.0.0.1', 9300), Drawer).serve_forever()`;

function allDiffer(what: string, values: readonly (string | undefined)[]): void {
  assert.ok(
    values.every((value) => value !== undefined && value !== ''),
    `${what}: ${values.join(' ')}`,
  );
  assert.equal(new Set(values).size, values.length, `${what} repeat: ${values.join(' ')}`);
}

/** Forks a running sandbox so often at once, and compares. */
export async function compareForks(skerry: Instance, count: number): Promise<void> {
  const parent = await skerry.create({ name: 'parent', memoryMiB: 256, rest: { afterMs: null } });
  await skerry.sh(parent.id, `cat > ~/drawer.py <<'X'\n${drawer}\nX\necho before > ~/shared`);
  await skerry.exec(parent.id, 'exec python3 ~/drawer.py', { detach: true });
  await skerry.sh(
    parent.id,
    'for i in $(seq 200); do curl -s localhost:9300/ > /dev/null && exit 0; sleep 0.05; done; exit 1',
  );
  const { status, body } = await skerry.api('POST', `/v1/sandboxes/${parent.id}/fork?wait=300s`, { count });
  assert.equal(status, 201, JSON.stringify(body));
  const forks = (body['items'] as SandboxView[]).map(({ id }) => id);
  assert.equal(forks.length, count);
  const all = [parent.id, ...forks];
  await Promise.all(forks.map((id) => skerry.until(id, ['running'])));
  for (const id of forks) assert.equal((await skerry.get(id)).resume?.from, 'memory');
  allDiffer('tokens', await Promise.all(all.map(async (id) => (await skerry.get(id)).accessToken)));
  const drawn = await Promise.all(
    all.map(async (id) => JSON.parse(await skerry.sh(id, 'curl -sf localhost:9300/')) as Record<string, string>),
  );
  allDiffer(
    "uuid4 of Python's process",
    drawn.map((values) => values['uuid']),
  );
  allDiffer(
    'os.urandom',
    drawn.map((values) => values['random']),
  );
  allDiffer(
    'host names',
    drawn.map((values) => values['host']),
  );
  const generations = await Promise.all(
    all.map(async (id) => JSON.parse(await skerry.sh(id, 'cat /run/skerry/generation.json')) as Record<string, string>),
  );
  allDiffer(
    'generation ids',
    generations.map((document) => document['generationId']),
  );
  assert.deepEqual(
    generations.map((document) => document['sandboxId']),
    all,
  );
  await Promise.all(all.map((id) => skerry.sh(id, `echo ${id} >> ~/shared; sync ~/shared`)));
  for (const id of all) assert.equal(await skerry.sh(id, 'cat ~/shared'), `before\n${id}\n`);
  // Deleting the parent breaks no child.
  await skerry.remove(parent.id);
  for (const id of forks)
    assert.equal(await skerry.sh(id, 'cat ~/shared && curl -sf localhost:9300/ > /dev/null'), `before\n${id}\n`);
  await Promise.all(forks.map((id) => skerry.remove(id)));
  assert.deepEqual((await skerry.api('GET', '/v1/snapshots?all=true')).body['items'], []);
}
