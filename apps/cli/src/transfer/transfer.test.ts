import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePlace } from './place.ts';
import { readTar } from './tar-reader.ts';
import { safeParts, unpackTar } from './unpack-tar.ts';

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'cli-transfer-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** What GNU tar makes of these arguments, in chunks of odd sizes. */
async function* tar(...args: readonly string[]): AsyncGenerator<Uint8Array> {
  const all = execFileSync('tar', ['--create', '--file=-', '--format=posix', ...args], { maxBuffer: 64 * 1024 * 1024 });
  for (let at = 0; at < all.length; at += 777) yield all.subarray(at, at + 777);
}

test('parsePlace() tells sandboxes from local paths', () => {
  assert.deepEqual(parsePlace('work:/a:b'), { sandbox: 'work', path: '/a:b' });
  assert.deepEqual(parsePlace('work:'), { sandbox: 'work', path: '.' });
  for (const text of ['-', 'file', './a:b', '/tmp/a:b', 'Upper:x', 'dir/a:b'])
    assert.deepEqual(parsePlace(text), { path: text });
});

test('unpackTar() brings back files, modes, times, links and long names', async () => {
  await inDirectory(async (directory) => {
    const source = join(directory, 'source');
    const long = `${'d'.repeat(120)}/${'f'.repeat(120)}`;
    await mkdir(join(source, long, '..'), { recursive: true });
    await writeFile(join(source, long), 'long');
    await writeFile(join(source, 'empty'), '');
    await writeFile(join(source, 'bytes'), Buffer.alloc(70_000, 255));
    await writeFile(join(source, 'ünï'), 'name');
    await chmod(join(source, 'bytes'), 0o4751);
    await utimes(join(source, 'bytes'), 1_000_000, 981_173_106.5);
    await symlink('../../etc/passwd', join(source, 'link'));
    execFileSync('ln', [join(source, 'bytes'), join(source, 'hard')]);
    execFileSync('mkfifo', [join(source, 'pipe')]);
    await mkdir(join(source, 'locked'), { mode: 0o700 });
    await writeFile(join(source, 'locked/in'), 'x');
    await chmod(join(source, 'locked'), 0o500);
    const target = join(directory, 'target');
    await unpackTar(tar('--directory', source, '.'), target);
    assert.equal(await readFile(join(target, long), 'utf8'), 'long');
    assert.deepEqual(await readFile(join(target, 'bytes')), Buffer.alloc(70_000, 255));
    assert.equal(await readFile(join(target, 'ünï'), 'utf8'), 'name');
    const facts = await stat(join(target, 'bytes'));
    assert.equal(facts.mode & 0o7777, 0o751, 'setuid is left out');
    assert.equal(facts.mtimeMs, 981_173_106_500);
    assert.equal(facts.nlink, 2);
    assert.equal(await readlink(join(target, 'link')), '../../etc/passwd');
    assert.equal((await stat(join(target, 'locked'))).mode & 0o777, 0o500);
    assert.deepEqual((await readdir(target)).includes('pipe'), false);
    await chmod(join(target, 'locked'), 0o700);
    await chmod(join(source, 'locked'), 0o700);
  });
});

test('unpackTar() writes nothing outside, whatever the archive says', async () => {
  await inDirectory(async (directory) => {
    const source = join(directory, 'source');
    const target = join(directory, 'target');
    await mkdir(source);
    await writeFile(join(source, 'evil'), 'evil');
    await symlink(directory, join(source, 'out'));
    const attacks: Record<string, AsyncIterable<Uint8Array>> = {
      'a name with dots': tar('--directory', source, '--absolute-names', '--transform=s,evil,../escaped,', 'evil'),
      'a file through a link of the same archive': tar(
        '--directory',
        source,
        '--transform=s,evil,out/escaped,',
        'out',
        'evil',
      ),
    };
    for (const [name, archive] of Object.entries(attacks)) {
      await unpackTar(archive, join(target, name)).catch((error: unknown) =>
        assert.match(String(error), /outside|EEXIST|directory/, name),
      );
      await assert.rejects(lstat(join(directory, 'escaped')), name);
      await assert.rejects(lstat(join(target, 'escaped')), name);
    }
    // An earlier copy left a link in the destination.
    await mkdir(join(target, 'again'), { recursive: true });
    await symlink(directory, join(target, 'again/out'));
    const through = tar('--directory', source, '--transform=s,evil,out/escaped,', 'evil');
    await assert.rejects(unpackTar(through, join(target, 'again')), { reason: 'unsafe_archive' });
    await assert.rejects(lstat(join(directory, 'escaped')));
    // An absolute name is taken as one inside.
    await unpackTar(
      tar('--directory', source, '--absolute-names', '--transform=s,evil,/etc/skerry-test,', 'evil'),
      join(target, 'absolute'),
    );
    assert.equal(await readFile(join(target, 'absolute/etc/skerry-test'), 'utf8'), 'evil');
    await assert.rejects(lstat('/etc/skerry-test'));
  });
});

test('safeParts() never leads out', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('..', '.', '', 'a', 'b')), (parts) => {
      const name = parts.join('/');
      if (parts.includes('..')) assert.throws(() => safeParts(name));
      else assert.ok(safeParts(name).every((part) => part === 'a' || part === 'b'));
    }),
  );
});

test('readTar() fails on what is no archive or ends too early, and never hangs', async () => {
  const read = async (bytes: Uint8Array): Promise<void> => {
    const source = (async function* () {
      yield bytes;
    })();
    for await (const entry of readTar(source)) for await (const _ of entry.content);
  };
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 2000 }), async (bytes) => {
      if (bytes.every((byte) => byte === 0) && bytes.length % 512 === 0) return;
      await assert.rejects(read(bytes));
    }),
  );
  const whole = execFileSync('tar', ['--create', '--file=-', '--directory', import.meta.dirname, 'place.ts']);
  await read(whole);
  await assert.rejects(read(whole.subarray(0, 700)));
});

test('a tar stream of many files is unpacked as it comes', async () => {
  await inDirectory(async (directory) => {
    const source = join(directory, 'source');
    await mkdir(source);
    for (let n = 0; n < 300; n++) await writeFile(join(source, String(n)), String(n));
    const child = spawn('tar', ['--create', '--file=-', '--directory', source, '.'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await unpackTar(child.stdout, join(directory, 'target'));
    assert.equal((await readdir(join(directory, 'target'))).length, 300);
    assert.equal(await readFile(join(directory, 'target/299'), 'utf8'), '299');
  });
});
