import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@skerry/kit';
import { randomLabel } from '@skerry/model';
import type { ArtifactsConfig } from '@skerry/protocol';

/** A root file system with nothing in it but the accounts that the guest needs. */
export async function makeTinyImage(directory: string): Promise<ArtifactsConfig['images'][number]> {
  const root = join(directory, 'tiny');
  for (const path of ['etc', 'root', 'tmp', 'proc', 'dev', 'sys', 'usr/bin'])
    await mkdir(join(root, path), { recursive: true });
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\n');
  const archive = join(directory, 'tiny.tar.zst');
  await runCommand('tar', ['--create', '--zstd', '--numeric-owner', '--file', archive, '--directory', root, '.']);
  const manifest = join(directory, 'tiny.json');
  const key = randomLabel(16);
  const config = { env: { PATH: '/usr/bin' }, user: 'root', workdir: '/root' };
  await writeFile(
    manifest,
    JSON.stringify({ name: 'tiny', key, createdAt: new Date().toISOString(), sizeBytes: 1, files: 1, config }),
  );
  return { name: 'tiny', key, archive, manifest };
}
