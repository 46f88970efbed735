/** Guest binaries under their digests: a boot goes on with the very one that it began with. */
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '@skerry/kit';
import { Problem, randomLabel } from '@skerry/model';
import type { ArtifactsConfig } from '@skerry/protocol';

const fileName = 'skerry-guest';

/** Where the guest of this digest is kept. */
export function guestPath(directory: string, digest: string): string {
  return join(directory, digest, fileName);
}

/** Whether the guest of this digest is kept. */
export async function hasGuest(directory: string, digest: string): Promise<boolean> {
  return isFile(guestPath(directory, digest));
}

/** Path of the guest that set-up made, inside the store; copied there when it is new. Throws `data_loss` when its content is another. */
export async function installGuest(directory: string, guest: ArtifactsConfig['guest']): Promise<string> {
  const target = join(directory, guest.sha256);
  const path = join(target, fileName);
  if (await isFile(path)) return path;
  const digest = createHash('sha256')
    .update(await readFile(guest.path))
    .digest('hex');
  if (digest !== guest.sha256)
    throw new Problem('data_loss', `The guest at "${guest.path}" has digest ${digest}, not ${guest.sha256}`, {
      reason: 'guest_digest_wrong',
      hint: 'Run the set-up again.',
    });
  await mkdir(target, { recursive: true, mode: 0o755 });
  const unfinished = join(target, `.new-${randomLabel(8)}`);
  await copyFile(guest.path, unfinished);
  await chmod(unfinished, 0o755);
  const handle = await open(unfinished, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(unfinished, path);
  await syncDirectory(target);
  return path;
}

/** Removes the binaries that neither `digests` nor a new boot needs. */
export async function removeOldGuests(directory: string, digests: ReadonlySet<string>): Promise<void> {
  for (const entry of await readdir(directory))
    if (!digests.has(entry)) await rm(join(directory, entry), { recursive: true, force: true });
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
