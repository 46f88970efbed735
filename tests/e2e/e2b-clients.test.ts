import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCommand } from '@skerry/kit';
import { connectE2b, type E2bControl, startE2bControl } from './e2b-control.ts';
import { Instance, type SandboxView } from './instance.ts';

let skerry: Instance;
let made: SandboxView;
let control: E2bControl;
before(async () => {
  skerry = await Instance.start();
  made = await skerry.create({ name: 'e2b' });
  control = await startE2bControl(made);
});
after(async () => {
  await control[Symbol.asyncDispose]();
  await skerry[Symbol.asyncDispose]();
});

test('the npm client drives commands, terminals, files and watch through the gateway', async () => {
  const sandbox = await connectE2b(skerry, made, control);
  const echo = await sandbox.commands.run('echo out; echo err >&2; exit 0', { envs: { A: 'b' } });
  assert.deepEqual([echo.stdout, echo.stderr, echo.exitCode], ['out\n', 'err\n', 0]);
  await assert.rejects(sandbox.commands.run('exit 3'), { exitCode: 3 });
  const background = await sandbox.commands.run('cat', { background: true, stdin: true });
  await sandbox.commands.sendStdin(background.pid, 'hello\n');
  await sandbox.commands.closeStdin(background.pid);
  assert.equal((await background.wait()).stdout, 'hello\n');
  await assert.rejects(sandbox.commands.run('sleep 30', { timeoutMs: 1000 }));
  const sleeping = await sandbox.commands.run('sleep 60', { background: true });
  assert.ok((await sandbox.commands.list()).some((process) => process.pid === sleeping.pid));
  assert.equal(await sandbox.commands.kill(sleeping.pid), true);

  let screen = '';
  const terminal = await sandbox.pty.create({
    cols: 80,
    rows: 24,
    onData: (data) => void (screen += Buffer.from(data).toString()),
  });
  await sandbox.pty.resize(terminal.pid, { cols: 101, rows: 30 });
  await sandbox.pty.sendInput(terminal.pid, Buffer.from('stty size; exit 5\n'));
  await terminal.wait().catch((error: { exitCode?: number }) => assert.equal(error.exitCode, 5));
  assert.match(screen, /30 101/);

  const seen: string[] = [];
  await sandbox.files.makeDir('/home/user/watched');
  const watcher = await sandbox.files.watchDir(
    '/home/user/watched',
    (event) => void seen.push(`${event.type} ${event.name}`),
  );
  await sandbox.files.write('/home/user/watched/a.txt', 'text');
  await sandbox.files.write([{ path: '/home/user/watched/b.bin', data: new Uint8Array([0, 255, 10]).buffer }]);
  assert.equal(await sandbox.files.read('/home/user/watched/a.txt'), 'text');
  assert.deepEqual([...(await sandbox.files.read('/home/user/watched/b.bin', { format: 'bytes' }))], [0, 255, 10]);
  assert.deepEqual((await sandbox.files.list('/home/user/watched')).map((entry) => entry.name).sort(), [
    'a.txt',
    'b.bin',
  ]);
  await sandbox.files.rename('/home/user/watched/a.txt', '/home/user/watched/c.txt');
  assert.equal(await sandbox.files.exists('/home/user/watched/a.txt'), false);
  await sandbox.files.remove('/home/user/watched/c.txt');
  for (let n = 0; n < 50 && !seen.some((event) => event.includes('remove c.txt')); n++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(
    seen.some((event) => event.includes('create a.txt')) && seen.some((event) => event.includes('remove c.txt')),
    seen.join(', '),
  );
  await watcher.stop();
  assert.equal(await sandbox.isRunning(), true);
});

test('the PyPI client drives commands, terminals, files and watch through the gateway', async () => {
  const python = process.env['SKERRY_TEST_PYTHON'];
  assert.ok(python, 'SKERRY_TEST_PYTHON names the Python that has the PyPI client; `npm test` sets it');
  const script = fileURLToPath(new URL('python/drive.py', import.meta.url));
  const output = await runCommand(python, [script, made.id], {
    deadlineMs: 60_000,
    env: {
      ...process.env,
      E2B_API_URL: control.apiUrl,
      E2B_SANDBOX_URL: skerry.url,
      E2B_API_KEY: `e2b_${'0'.repeat(40)}`,
    },
  });
  assert.match(output, /all good/);
});
