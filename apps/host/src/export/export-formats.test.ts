import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog } from '@skerry/kit';
import fc from 'fast-check';
import { parseExportDigests, parseExportManifest, parseExportSignature } from './export-manifest.ts';
import { formatEnd, formatMember, type Member, readMembers } from './members.ts';
import { SigningKeys } from './signing-keys.ts';
import { stripOwner } from './strip-owner.ts';

async function* inPieces(data: Buffer, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += bytes) yield data.subarray(at, at + bytes);
}
async function all(data: Buffer, bytes = 1000): Promise<Member[]> {
  const found: Member[] = [];
  for await (const member of readMembers(inPieces(data, bytes))) found.push(member);
  return found;
}
const golden = (): Promise<string> => readFile(join(import.meta.dirname, '../testing/export-manifest.v1.json'), 'utf8');

test('readMembers() gives what formatMember() wrote, in pieces of any size', async () => {
  const member = fc.record({
    name: fc.stringMatching(/^[a-z][a-z0-9./-]{0,30}$/),
    data: fc.uint8Array({ maxLength: 2000 }).map((array) => Buffer.from(array)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(member, { maxLength: 5 }), fc.integer({ min: 1, max: 3000 }), async (members, bytes) => {
      const tar = Buffer.concat([...members.map(({ name, data }) => formatMember(name, data)), formatEnd()]);
      assert.deepEqual(
        await all(tar, bytes),
        members.map(({ name, data }) => ({ name, data })),
      );
    }),
    { numRuns: 100 },
  );
});

test('readMembers() refuses every cut, and every bit that is wrong outside of data', async () => {
  const data = Buffer.from('some data');
  const tar = Buffer.concat([formatMember('name', data), formatEnd()]);
  for (let length = 0; length < tar.length; length += 37)
    await assert.rejects(all(tar.subarray(0, length)), { code: 'data_loss' });
  await assert.rejects(all(Buffer.concat([tar, Buffer.alloc(1)])), { code: 'data_loss' });
  for (let at = 0; at < tar.length; at += 1) {
    if (at >= 512 && at < 512 + data.length) continue;
    const wrong = Buffer.from(tar);
    wrong[at] = (wrong[at] ?? 0) ^ (1 << (at % 8));
    await assert.rejects(all(wrong), { code: 'data_loss' }, `byte ${at}`);
  }
});

test('parseExportManifest() reads what format 1 wrote, and refuses what is not, with another class for a later format', async () => {
  const text = await golden();
  const manifest = parseExportManifest(Buffer.from(text));
  assert.equal(manifest.memory?.files[0]?.name, 'pages.img');
  assert.deepEqual(JSON.parse(JSON.stringify(manifest)), JSON.parse(text));
  for (const wrong of [
    '',
    '[]',
    text.slice(0, 300),
    text.replace('"memory": {', '"other": {'),
    text.replace('"kind": "memory"', '"kind": "disk"'),
    text.replace('pages.img', '../pages.img'),
    text.replace('"name": "base"', '"name": "../base"'),
    text.replace('10240', '0'),
    text.replace('10240', '1e300'),
  ])
    assert.throws(() => parseExportManifest(Buffer.from(wrong)), { code: 'data_loss' }, wrong.slice(0, 100));
  assert.throws(() => parseExportManifest(Buffer.from(text.replace('"formatVersion": 1', '"formatVersion": 2'))), {
    code: 'unsupported',
  });
  fc.assert(
    fc.property(fc.json(), (json) => {
      for (const parse of [parseExportManifest, parseExportDigests, parseExportSignature])
        assert.throws(() => parse(Buffer.from(json)), { name: 'Problem' });
    }),
  );
});

test('stripOwner() leaves out what may be a secret, at any depth, and nothing else', () => {
  const sandbox = {
    name: 'box',
    labels: { a: 'b' },
    env: { A: 'b' },
    accessToken: 'x',
    deep: [{ apiKey: 'x', imageKey: 'kept', list: [1, null] }],
  };
  assert.deepEqual(stripOwner({ version: 1, project: 'pj', sandbox }), {
    version: 1,
    project: 'pj',
    sandbox: { name: 'box', labels: { a: 'b' }, deep: [{ imageKey: 'kept', list: [1, null] }] },
  });
});

test('whyNotTrusted() trusts the own key and those in the folder, and no signature of other data', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'skerry-keys-'));
  try {
    const log = createLog('test', 'error', () => undefined);
    const config = (name: string) => ({
      ownKeyFile: join(directory, `${name}.key`),
      trustedDir: join(directory, name),
    });
    const [own, other] = [await SigningKeys.open(config('own'), log), await SigningKeys.open(config('other'), log)];
    const data = Buffer.from('data');
    assert.equal((await stat(join(directory, 'own.key'))).mode & 0o777, 0o600);
    assert.equal(await (await SigningKeys.open(config('own'), log)).whyNotTrusted(data, own.sign(data)), undefined);
    assert.match((await own.whyNotTrusted(data, other.sign(data))) ?? '', /not trusted here/);
    assert.match((await own.whyNotTrusted(Buffer.from('date'), own.sign(data))) ?? '', /not valid/);
    // Who signs as somebody else is not them.
    const forged = { ...other.sign(data), publicKey: own.sign(data).publicKey };
    assert.match((await own.whyNotTrusted(data, forged)) ?? '', /not valid/);
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const weak = { ...own.sign(data), publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64') };
    assert.match((await own.whyNotTrusted(data, weak)) ?? '', /no valid key/);
    assert.match((await own.whyNotTrusted(data, { ...weak, publicKey: 'AAAA' })) ?? '', /no valid key/);
    await writeFile(join(directory, 'own/broken.pem'), 'no key');
    const pem = createPublicKey(await readFile(join(directory, 'other.key'))).export({ type: 'spki', format: 'pem' });
    await writeFile(join(directory, 'own/other.pem'), pem);
    assert.equal(await own.whyNotTrusted(data, other.sign(data)), undefined);
    await writeFile(join(directory, 'own.key'), 'no key');
    await assert.rejects(SigningKeys.open(config('own'), log), { reason: 'export_key_broken' });
  } finally {
    await rm(directory, { recursive: true });
  }
});
