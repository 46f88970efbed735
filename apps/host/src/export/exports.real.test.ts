import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, randomInt } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { runCommand } from '@skerry/kit';
import { newId, type SnapshotId } from '@skerry/model';
import { ExportPlace, testOwner } from '../testing/export-place.ts';
import { forgeExport, hostileTars } from '../testing/forged-export.ts';

let here: ExportPlace;
let there: ExportPlace;
before(async () => {
  here = await ExportPlace.make();
  there = await ExportPlace.make();
});
after(async () => {
  await here[Symbol.asyncDispose]();
  await there[Symbol.asyncDispose]();
});

const makeTree = `set -e; umask 022
echo plain > plain; chmod 0640 plain; chown 1000:60 plain; setfattr -n user.skerry -v value plain; setfacl -m u:7:r plain 2>/dev/null || true
printf '#!/bin/sh\\n' > run; chmod 4755 run
ln -s plain link; ln -s /nowhere/at/all dangling; ln -s /etc/passwd absolute; ln plain hard; mkfifo fifo
truncate -s 80M sparse; printf end | dd of=sparse bs=1 seek=70000000 conv=notrunc status=none
mkdir -p deep/er; chmod 1777 deep; echo old > deep/er/old; touch -d '2001-02-03 04:05:06.789123456 UTC' deep/er/old; chown 33:33 deep/er
printf x > "$(printf 'new\\nline\\377')"; printf x > -dash; printf x > '--checkpoint-action=exec=sh'; printf x > ' '; mkdir empty
long=$(printf 'a%.0s' $(seq 200)); mkdir -p $long/$long; echo deep > $long/$long/$long
head -c 3000000 /dev/zero > zeros; head -c 3000000 /dev/urandom > random
touch -h -d '2001-02-03 04:05:06.5 UTC' link; touch -d '1960-01-01 UTC' run; touch -d '2024-05-06 07:08:09.123 UTC' deep .`;
const describeTree = `find . ! -type d -printf '%p %y %m %U %G %s %T@ %l %n\\n' | LC_ALL=C sort | cat -v; find . -type d -printf '%p %m %U %G %T@\\n' | LC_ALL=C sort
getfattr -d -m - plain run; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum --; du -k sparse | cut -f1`;

async function fill(root: string): Promise<void> {
  await runCommand('sh', ['-c', makeTree], { cwd: root });
}
async function describe(root: string): Promise<string> {
  return runCommand('sh', ['-c', describeTree], { cwd: root });
}
async function toFile(place: ExportPlace, id: SnapshotId, memory: boolean): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of place.exports.export(id, memory)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
async function* inPieces(file: Buffer, bytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += bytes) yield file.subarray(at, at + bytes);
}
async function take(
  place: ExportPlace,
  file: Buffer,
  pieces?: number,
): Promise<{ id: SnapshotId; lost: readonly string[]; kind: string; exported: unknown }> {
  const snapshotId = newId('snapshot');
  const owner = { version: 1, project: 'other', sandbox: { name: 'new' } } as const;
  const answer = await place.exports.import({ snapshotId, sandboxId: newId('sandbox'), owner }, inPieces(file, pieces));
  assert.deepEqual(answer.snapshot.owner, owner);
  return { id: snapshotId, lost: answer.lost, kind: answer.snapshot.kind, exported: answer.exported };
}
async function refused(
  place: ExportPlace,
  file: Buffer,
  message?: string,
): Promise<{ code?: string; reason?: string }> {
  const before = await place.entries();
  let problem: { code?: string; reason?: string } = {};
  await assert.rejects(
    take(place, file),
    (error: object) => {
      problem = error;
      return true;
    },
    message,
  );
  assert.deepEqual(await place.entries(), before, message);
  assert.deepEqual(await readdir(place.layout.trash), [], message);
  return problem;
}

const memory = {
  'pages.img': randomBytes(2_500_000),
  'checkpoint.img': randomBytes(3000),
  'empty.img': Buffer.alloc(0),
};

test('a file brings back the very tree and memory on the instance that it came from, without the secrets of its owner', async () => {
  const id = await here.snapshot(fill, memory);
  const file = await toFile(here, id, true);
  const { id: copy, lost, kind, exported } = await take(here, file, 1000);
  assert.equal(await describe(here.snapshots.rootOf(copy)), await describe(here.snapshots.rootOf(id)));
  assert.equal(kind, 'memory');
  assert.deepEqual(lost, ['the settings of image "tiny", which this host does not have']);
  for (const [name, content] of Object.entries(memory))
    assert.deepEqual(await readFile(join(here.snapshots.memoryDirectoryOf(copy), name)), content);
  await here.snapshots.verify(copy);
  assert.deepEqual(exported, { version: 1, project: 'pj', sandbox: { name: 'box', nested: [{ kept: 1 }] } });
  assert.ok(!zstdDecompressSync(file).includes('hush'));
  assert.deepEqual(testOwner.sandbox['accessToken'], 'hush');
  await assert.rejects(writeFile(join(here.snapshots.rootOf(copy), 'x'), 'x'), { code: 'EROFS' });
  await here.open();
  assert.equal(here.snapshots.get(copy).kind, 'memory');
  await here.snapshots.delete(copy);
  await here.snapshots.delete(id);
});

test('another instance takes the files; the memory only once it trusts the key, can restore it and has the guest', async () => {
  const id = await here.snapshot(fill, memory);
  const file = await toFile(here, id, true);
  const stranger = await take(there, file);
  assert.equal(stranger.kind, 'disk');
  assert.match(
    stranger.lost[0] ?? '',
    /^memory and processes: it was signed by a key that is not trusted here \(SHA256:/,
  );
  assert.equal(await describe(there.snapshots.rootOf(stranger.id)), await describe(here.snapshots.rootOf(id)));
  assert.ok(!(await readdir(join(there.layout.snapshots, stranger.id))).includes('memory'));
  const key = createPublicKey(await readFile(join(here.directory, 'export.key')));
  await writeFile(join(there.directory, 'trusted-keys/here.pem'), key.export({ type: 'spki', format: 'pem' }));
  assert.equal((await take(there, file)).kind, 'memory');
  there.notRestorable = 'The processor lacks "avx512f"';
  assert.match((await take(there, file)).lost[0] ?? '', /avx512f/);
  there.notRestorable = undefined;
  there.hasGuest = false;
  assert.match((await take(there, file)).lost[0] ?? '', /guest/);
  there.hasGuest = true;
  const disk = await toFile(here, id, false);
  assert.equal((await take(there, disk)).kind, 'disk');
  for (const entry of await there.entries()) await there.snapshots.delete(entry as SnapshotId);
  await here.snapshots.delete(id);
});

test('a file without Skerry gives its files to zstd and tar', async () => {
  const id = await here.snapshot(fill);
  const path = join(here.directory, 'file');
  await writeFile(path, await toFile(here, id, false));
  const out = join(here.directory, 'out');
  await mkdir(out);
  await runCommand('bash', [
    '-o',
    'pipefail',
    '-c',
    `tar --zstd -xOf ${path} --wildcards 'disk.tar.*' | tar -x --numeric-owner --xattrs -C ${out}`,
  ]);
  assert.equal(await describe(out), await describe(here.snapshots.rootOf(id)));
  await here.snapshots.delete(id);
});

test('a file that is cut, changed, or followed by more is refused with "data_loss", and nothing of it is left', async () => {
  const id = await here.snapshot(fill, memory);
  const file = await toFile(here, id, true);
  const seed = randomInt(2 ** 31);
  for (let n = 0; n < 12; n++) {
    const at = (seed + n * 7_919_993) % file.length;
    const flipped = Buffer.from(file);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (n % 8));
    const problem = await refused(here, flipped, `bit ${n % 8} of byte ${at} flipped`);
    assert.ok(problem.code === 'data_loss' || problem.code === 'unsupported', `byte ${at}: ${String(problem)}`);
    assert.equal((await refused(here, file.subarray(0, at), `cut at ${at}`)).code, 'data_loss');
  }
  for (const bytes of [0, 1, file.length - 1])
    assert.equal((await refused(here, file.subarray(0, bytes), `cut at ${bytes}`)).code, 'data_loss');
  assert.equal((await refused(here, Buffer.concat([file, Buffer.from('more')]))).code, 'data_loss');
  // Flipped before the compression, where no checksum of zstd sees it.
  const plain = zstdDecompressSync(file);
  for (let n = 0; n < 12; n++) {
    const at = (seed + n * 104_729_003) % plain.length;
    const flipped = Buffer.from(plain);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (n % 8));
    const { code } = await refused(here, zstdCompressSync(flipped), `bit ${n % 8} of plain byte ${at} flipped`);
    assert.ok(code === 'data_loss' || code === 'unsupported', `plain byte ${at}: ${code}`);
  }
  await here.snapshots.delete(id);
});

test('a source that breaks off, or a caller who goes away, leaves nothing', async () => {
  const id = await here.snapshot(fill, memory);
  const file = await toFile(here, id, true);
  const before = await here.entries();
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield file.subarray(0, file.length / 2);
    throw new Error('the connection is lost');
  }
  const spec = { snapshotId: newId('snapshot'), sandboxId: newId('sandbox'), owner: testOwner };
  await assert.rejects(here.exports.import(spec, broken()), /the connection is lost/);
  const stop = new AbortController();
  async function* stuck(): AsyncGenerator<Uint8Array> {
    yield file.subarray(0, file.length / 2);
    stop.abort(new Error('gone'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    yield file.subarray(file.length / 2);
  }
  await assert.rejects(here.exports.import(spec, stuck(), stop.signal));
  const taken = here.exports.export(id, false);
  await taken.next();
  await assert.rejects(here.snapshots.delete(id), { reason: 'snapshot_in_use' });
  await taken.return();
  assert.deepEqual(await here.entries(), before);
  assert.doesNotMatch(await runCommand('ps', ['-eo', 'args']), /tar --(create|extract) --format=posix/);
  await here.snapshots.delete(id);
});

for (const [what, script] of Object.entries(hostileTars)) {
  test(`a forged file with ${what} harms nothing outside its tree`, async () => {
    const canary = join(here.directory, 'canary');
    await writeFile(canary, 'sings', { mode: 0o600 });
    const passwd = await readFile('/etc/passwd', 'utf8');
    const programs = await readdir('/usr/local/bin');
    const tar = await runCommand('python3', ['-c', script, canary], { deadlineMs: 60_000 }).then((text) =>
      Buffer.from(text, 'base64'),
    );
    const before = await here.entries();
    const outcome = await take(here, forgeExport(tar)).catch((error: unknown) => error);
    assert.equal(await readFile(canary, 'utf8'), 'sings');
    assert.equal((await lstat(canary)).nlink, 1);
    assert.equal(await readFile('/etc/passwd', 'utf8'), passwd);
    assert.deepEqual(await readdir('/usr/local/bin'), programs);
    if (outcome instanceof Error) {
      assert.ok(['data_loss', 'exhausted'].includes((outcome as { code?: string }).code ?? ''), String(outcome.stack));
      assert.deepEqual(await here.entries(), before);
    } else {
      const { id } = outcome as { id: SnapshotId };
      const root = here.snapshots.rootOf(id);
      assert.equal(await runCommand('find', [root, '-type', 'b', '-o', '-type', 'c']), '');
      await here.snapshots.delete(id);
    }
  });
}

test('an export of a large tree takes little memory, however slowly it is taken', async () => {
  const id = await here.snapshot(async (root) => {
    const file = await open(join(root, 'large'), 'w');
    for (let n = 0; n < 200; n++) await file.write(randomBytes(1024 * 1024));
    await file.close();
  });
  const taken = here.exports.export(id, false);
  let bytes = 0;
  let most = 0;
  const base = process.memoryUsage().rss;
  for await (const chunk of taken) {
    bytes += chunk.length;
    most = Math.max(most, process.memoryUsage().rss - base);
    if (bytes < 20_000_000) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.ok(bytes > 200 * 1024 * 1024);
  assert.ok(most < 120 * 1024 * 1024, `${most} bytes more`);
  await here.snapshots.delete(id);
});
