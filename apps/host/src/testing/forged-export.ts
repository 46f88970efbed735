/** Exports as somebody who means harm would write them: all digests are right, and the signature is of a key of their own. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { formatEnd, formatMember, mostMemberBytes } from '../export/members.ts';

const text = (document: unknown): Buffer => Buffer.from(JSON.stringify(document));
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** An export of format 1 whose disk is this tar. */
export function forgeExport(tar: Buffer, changes: Readonly<Record<string, unknown>> = {}): Buffer {
  const manifest = text({
    formatVersion: 1,
    kind: 'disk',
    snapshotId: 'x',
    sandboxId: 'x',
    image: { name: 'tiny', key: '0', sizeBytes: 0 },
    sizeMiB: 1,
    savedAtMs: 0,
    exportedAtMs: 0,
    owner: { version: 1, project: 'x', sandbox: {} },
    ...changes,
  });
  const digests = text({
    formatVersion: 1,
    manifest: sha256(manifest),
    sections: [{ name: 'disk.tar', bytes: tar.length, sha256: sha256(tar) }],
  });
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const signature = text({
    algorithm: 'ed25519',
    publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    signature: sign(null, digests, privateKey).toString('base64'),
  });
  const parts = [formatMember('manifest.json', manifest)];
  for (let at = 0, number = 0; at < tar.length; at += mostMemberBytes, number++)
    parts.push(formatMember(`disk.tar.${String(number).padStart(8, '0')}`, tar.subarray(at, at + mostMemberBytes)));
  parts.push(formatMember('digests.json', digests), formatMember('signature.json', signature), formatEnd());
  return zstdCompressSync(Buffer.concat(parts));
}

const begin = `
import base64, io, sys, tarfile
canary = sys.argv[1]
out = io.BytesIO()
tar = tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT)
def add(name, kind=tarfile.REGTYPE, data=b'', link='', mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(data)
    for key, value in more.items(): setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))
`;
const end = `
tar.close()
print(base64.b64encode(out.getvalue()).decode(), end='')
`;

/** Programs that print a tar in base64; their argument is a file that must stay as it is. */
export const hostileTars: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    'paths that climb out': `
for up in range(1, 12): add('../' * up + canary.lstrip('/'), data=b'gone')
add('a/../../../../etc/passwd', data=b'gone')`,
    'absolute paths': `add(canary, data=b'gone'); add('/etc/passwd', data=b'gone'); add('/usr/local/bin/evil', data=b'x', mode=0o4755)`,
    'a link to a directory outside and a file behind it': `
add('out', tarfile.SYMTYPE, link='/'); add('out' + canary, data=b'gone')
add('etc', tarfile.SYMTYPE, link='/etc'); add('etc/passwd', data=b'gone')
add('up', tarfile.SYMTYPE, link='../../../../../../..'); add('up' + canary, data=b'gone')`,
    'a link that becomes a directory and a link again': `
add('d', tarfile.DIRTYPE, mode=0o755); add('d/x', data=b'1'); add('d', tarfile.SYMTYPE, link='/'); add('d' + canary, data=b'gone')`,
    'hard links to files outside': `
add('hard', tarfile.LNKTYPE, link=canary); add('hard', data=b'gone')
add('hard2', tarfile.LNKTYPE, link='../../../../../..' + canary)
add('s', tarfile.SYMTYPE, link=canary); add('hard3', tarfile.LNKTYPE, link='s'); add('hard3', data=b'gone')
add('hard4', tarfile.LNKTYPE, link='/etc/passwd')`,
    'device nodes': `
add('disk', tarfile.BLKTYPE, devmajor=254, devminor=0, mode=0o666); add('mem', tarfile.CHRTYPE, devmajor=1, devminor=1, mode=0o666)`,
    'setuid programs and attributes': `
add('su', data=b'#!/bin/sh', mode=0o6755); tar.fileobj.flush()
info = tarfile.TarInfo('x'); info.pax_headers = {'SCHILY.xattr.trusted.overlay.opaque': 'y', 'SCHILY.xattr.user.fine': 'y'}; tar.addfile(info)`,
    'more data than its disk may hold': `add('big', data=b'x' * (300 * 1024 * 1024))`,
    'a sparse file of 8 EiB': `
info = tarfile.TarInfo('huge'); body = b'1\\n9223372036854775000\\n0\\n'.ljust(512, b'\\0'); info.size = 512
info.pax_headers = {'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'huge', 'GNU.sparse.realsize': '9223372036854775000'}
tar.addfile(info, io.BytesIO(body))`,
    'twenty thousand links': `
for n in range(20000): add('l%d' % n, tarfile.SYMTYPE, link='/x' * 40)`,
    'very deep directories': `
path = ''
for n in range(1500): path += 'd/'; add(path, tarfile.DIRTYPE, mode=0o755)`,
    'no tar at all': `tar.close = lambda: None; out.write(b'this is no tar' * 1000)`,
    'a manifest of GNU options in names': `
add('--to-command=touch /tree/owned', data=b'x'); add('-I sh', data=b'x'); add('--checkpoint-action=exec=sh', data=b'x')`,
  }).map(([what, script]) => [what, `${begin}${script}${end}`]),
);
