import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Instance } from './instance.ts';

let skerry: Instance;
before(async () => {
  skerry = await Instance.start();
});
after(async () => {
  await skerry[Symbol.asyncDispose]();
});

const makeTree = `
set -e; cd /srv; umask 022
echo plain > plain; chmod 0640 plain; chown user:games plain
printf '#!/bin/sh\\n' > run; chmod 4755 run
ln -s plain link; ln -s /nowhere/at/all dangling; ln plain hard
truncate -s 1G sparse; printf end | dd of=sparse bs=1 seek=1000000000 conv=notrunc status=none
mkdir -p deep/er; chmod 1777 deep; touch -d '2001-02-03 04:05:06.789 UTC' deep/er/old
python3 -c "import os; os.setxattr('plain', 'user.skerry', b'value')"
sync`;
const describeTree = `
cd /srv; find . ! -type d -printf '%p %y %m %u %g %s %T@ %l %n\\n' | sort; find . -type d -printf '%p %m %u %g\\n' | sort
python3 -c "import os; print(os.getxattr('plain', 'user.skerry'))"
du -k sparse | cut -f1; sha256sum plain sparse`;

test('modes, owners, xattrs, links, sparse files, times and packages survive a stop and a start', async () => {
  const { id } = await skerry.create();
  await skerry.sh(id, makeTree, { user: 'root' });
  await skerry.sh(id, 'python3 -m venv ~/env && ~/env/bin/pip install --quiet six', { timeoutMs: 120_000 });
  const before = await skerry.sh(id, describeTree, { user: 'root' });
  await skerry.change(id, 'stop');
  await skerry.change(id, 'start');
  assert.equal(await skerry.sh(id, describeTree, { user: 'root' }), before);
  assert.match(await skerry.sh(id, '~/env/bin/python -c "import six; print(six.__version__)"'), /^\d/);
  await skerry.remove(id);
});

/** Writes numbered lines, each synced before it is counted, until it is killed. */
const writeLines = `cat > /tmp/writer.py <<'X'
import os
data = os.open('/home/user/data', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
done = os.open('/home/user/done', os.O_CREAT | os.O_WRONLY)
for n in range(10**9):
    os.write(data, b'%d\\n' % n)
    os.fsync(data)
    os.pwrite(done, b'%012d' % n, 0)
    os.fsync(done)
X
python3 /tmp/writer.py`;
const checkLines = `python3 - <<'X'
lines = open('/home/user/data').read().split('\\n')[:-1]
done = int(open('/home/user/done').read())
assert lines[:done + 1] == [str(n) for n in range(done + 1)], (done, len(lines))
assert done > 20, done
print(done)
X`;

/** Waits until the end of a boot is known and the sandbox has been booted again. */
async function bootedAgain(id: string): Promise<void> {
  for (let n = 0; n < 300 && (await skerry.get(id)).lastExit === undefined; n++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.notEqual((await skerry.get(id)).lastExit, undefined, 'the end was noticed');
}

const killers: Record<string, (id: string) => Promise<void>> = {
  'the sentry': async (id) => {
    for (const pid of await skerry.enginePids('sandbox')) process.kill(pid, 'SIGKILL');
    await bootedAgain(id);
  },
  'the gofer': async (id) => {
    for (const pid of await skerry.enginePids('gofer')) process.kill(pid, 'SIGKILL');
    await bootedAgain(id);
  },
  'the guest': async (id) => {
    await skerry.api('POST', `/v1/sandboxes/${id}/exec`, { command: 'kill -9 1', user: 'root', timeoutMs: 3000 });
    await bootedAgain(id);
  },
  'the host daemon': () => skerry.kill('host'),
  'the server': () => skerry.kill('server'),
  'everything at once': async () => {
    for (const program of ['supervisor', 'host', 'server', 'gateway', 'egress'] as const) await skerry.kill(program);
    for (const pid of [...(await skerry.enginePids('sandbox')), ...(await skerry.enginePids('gofer'))])
      process.kill(pid, 'SIGKILL');
    await skerry.up();
  },
};

for (const [victim, kill] of Object.entries(killers)) {
  test(`kill -9 of ${victim} loses no byte that was synced inside, and no sandbox that was acknowledged`, async () => {
    const working = await skerry.create();
    const resting = await skerry.create();
    await skerry.sh(resting.id, 'echo calm > ~/mark; sync');
    await skerry.change(resting.id, 'stop');
    await skerry.exec(working.id, writeLines, { detach: true });
    await skerry.sh(working.id, 'while [ ! -s ~/done ] || [ "$(cat ~/done)" -lt 40 ]; do sleep 0.1; done', {
      timeoutMs: 30_000,
    });
    await kill(working.id);
    await skerry.untilReady();
    await skerry.until(working.id, ['running']);
    await skerry.sh(working.id, 'pkill -f "[w]riter.py"; sync; true');
    assert.match(await skerry.sh(working.id, checkLines), /^\d+\n$/);
    await skerry.change(resting.id, 'start');
    assert.equal(await skerry.sh(resting.id, 'cat ~/mark'), 'calm\n');
    await skerry.remove(working.id);
    await skerry.remove(resting.id);
  });
}

test('an unexpected end is told with its reason, and a sandbox that keeps ending is left stopped', async () => {
  const { id } = await skerry.create();
  for (let n = 0; n < 4; n++) {
    await skerry.until(id, ['running']);
    await skerry.api('POST', `/v1/sandboxes/${id}/exec`, { command: 'kill -9 1', user: 'root', timeoutMs: 3000 });
    await skerry.until(id, ['starting', 'stopped', 'running']);
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
  const stopped = await skerry.until(id, ['stopped'], 30_000);
  assert.equal(stopped.reason, 'crash_loop');
  assert.equal(stopped.lastExit?.reason, 'killed');
  await skerry.remove(id);
});
