/** Two sandboxes with the same live work: one is paused and resumed again and again, its twin never. Both must tell the same afterwards. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryCommand } from '@skerry/kit';
import type { Instance } from '../e2e/instance.ts';

/** A web server with its state in memory, threads, a growing file that stays open, an unlinked one, and a shell on a terminal. */
const work = `import http.server, json, os, pty, threading, time
state = {'sum': 0, 'calls': 0}
log = open('/home/user/growing', 'a')
gone = open('/home/user/unlinked', 'w+'); os.unlink('/home/user/unlinked')
shm = open('/dev/shm/kept', 'w'); shm.write('in tmpfs'); shm.flush()
pid, terminal = pty.fork()
if pid == 0: os.execv('/bin/bash', ['bash', '--norc'])
lock = threading.Lock()
ticks = [0]
def tick():
    while True: time.sleep(0.05); ticks[0] += 1
for _ in range(3): threading.Thread(target=tick, daemon=True).start()
def shell(command):
    os.write(terminal, (command + '; echo EN''D\\n').encode())
    text = b''
    while b'END\\r\\n' not in text: text += os.read(terminal, 4096)
    return text.decode().split('\\r\\n')[-3 if text.decode().endswith('$ ') else -2]
class Work(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with lock:
            n = int(self.path[1:])
            state['sum'] = (state['sum'] * 31 + n) % 1000003; state['calls'] += 1
            log.write(f'{n}\\n'); log.flush(); gone.write(f'{n}\\n'); gone.flush()
            os.write(terminal, f'total=$((total+{n})); n=$((n+1)); echo "$n $total" > /home/user/shell\\n'.encode())
            before = ticks[0]; time.sleep(0.2)
            gone.seek(0); lines = len(gone.read().split())
            body = json.dumps({**state, 'unlinked': lines, 'ticking': ticks[0] > before, 'shm': open('/dev/shm/kept').read()}).encode()
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('0.0.0.0', 9200), Work).serve_forever()`;

async function begin(skerry: Instance, name: string): Promise<string> {
  const { id } = await skerry.create({ name, memoryMiB: 512, rest: { afterMs: null } });
  await skerry.sh(id, `cat > ~/work.py <<'X'\n${work}\nX`);
  await skerry.exec(id, 'exec python3 ~/work.py', { detach: true });
  await skerry.sh(
    id,
    'for i in $(seq 200); do curl -s localhost:9200/0 > /dev/null && exit 0; sleep 0.05; done; exit 1',
  );
  return id;
}

/** What a sandbox tells of itself after one more call of its work. */
async function tell(skerry: Instance, id: string, n: number): Promise<string> {
  const told = await skerry.sh(id, `curl -sf localhost:9200/${n}`);
  const rest = await skerry.sh(id, 'sleep 0.2; cat ~/shell; wc -l < ~/growing; md5sum < ~/growing; pgrep -c python3');
  return `${told}\n${rest}`;
}

async function storeEntries(skerry: Instance): Promise<number> {
  return (
    await tryCommand('find', [`${skerry.dataDir}/store`, '-maxdepth', '3', '-not', '-path', '*/root/*'])
  ).stdout.split('\n').length;
}

/** Resident memory of the instance's own programs, in `MiB`. */
async function residentMiB(skerry: Instance): Promise<number> {
  let kibibytes = 0;
  for (const program of ['host', 'server', 'gateway'] as const)
    for (const pid of await skerry.pids(program))
      kibibytes += Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  return kibibytes / 1024;
}

/** Pauses and resumes so many times. Says how the memory of Skerry's programs grew, in `MiB`. */
export async function compareTwins(skerry: Instance, rounds: number): Promise<number> {
  const [paused, twin] = await Promise.all([begin(skerry, 'paused'), begin(skerry, 'twin')]);
  let entries = 0;
  let resident = 0;
  for (let round = 1; round <= rounds; round++) {
    await skerry.change(paused, 'pause');
    await skerry.change(paused, 'resume');
    const { resume } = await skerry.get(paused);
    assert.equal(resume?.from, 'memory', JSON.stringify(resume));
    const [a, b] = await Promise.all([tell(skerry, paused, round), tell(skerry, twin, round)]);
    assert.equal(a, b, `round ${round}`);
    // The first rounds make what is kept: the last point, logs.
    if (round === Math.min(2, rounds)) {
      entries = await storeEntries(skerry);
      resident = await residentMiB(skerry);
    }
    await sleep(0);
  }
  assert.ok((await storeEntries(skerry)) <= entries, 'the store grew');
  const grown = (await residentMiB(skerry)) - resident;
  await skerry.remove(paused);
  await skerry.remove(twin);
  return grown;
}
