/** Read-only root file systems that disks are made from: `images/<name>-<key>/{root,image.json}`. */
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Log, readFileIfExists, runCommand, writeFileAtomic } from '@skerry/kit';
import { Problem, randomLabel } from '@skerry/model';
import type { ArtifactsConfig } from '@skerry/protocol';
import { createSubvolume, setReadOnly } from '../store/btrfs.ts';
import type { Trash } from '../store/trash.ts';
import { type ImageManifest, parseImageManifest } from './image-manifest.ts';

export interface Image extends ImageManifest {
  /** The read-only subvolume. */
  readonly root: string;
}

const unpackDeadlineMs = 900_000;
/** Directories that are being made begin with this; no image's name does. */
const unfinishedPrefix = '.new-';

export class ImageStore {
  readonly #images: ReadonlyMap<string, Image>;

  private constructor(images: ReadonlyMap<string, Image>) {
    this.#images = images;
  }

  /** Unpacks what is not there yet, once, and removes images that newer ones replace: disks do not need them. */
  static async open(
    directory: string,
    artifacts: ArtifactsConfig['images'],
    trash: Trash,
    log: Log,
  ): Promise<ImageStore> {
    const images = new Map<string, Image>();
    for (const artifact of artifacts) {
      const path = join(directory, `${artifact.name}-${artifact.key}`);
      const manifest = (await readManifest(path)) ?? (await unpack(directory, path, artifact, log));
      images.set(manifest.name, { ...manifest, root: join(path, 'root') });
    }
    const current = new Set([...images.values()].map((image) => `${image.name}-${image.key}`));
    for (const entry of await readdir(directory)) {
      if (current.has(entry)) continue;
      const name = await trash.take(join(directory, entry));
      if (name !== undefined)
        void trash
          .erase(name)
          .catch((error: unknown) => log.error('Cannot remove an old image', { entry, error: String(error) }));
    }
    return new ImageStore(images);
  }

  list(): readonly Image[] {
    return [...this.#images.values()];
  }

  /** Environment that the image brings along; none when it is not there any more. */
  envOf(name: string): Readonly<Record<string, string>> {
    return this.#images.get(name)?.config.env ?? {};
  }

  /** The newest image of this name. Throws `not_found`. */
  get(name: string): Image {
    const image = this.#images.get(name);
    if (image === undefined)
      throw new Problem('not_found', `There is no image "${name}"`, {
        reason: 'image_not_found',
        hint: `Images on this host: ${[...this.#images.keys()].join(', ') || 'none'}.`,
      });
    return image;
  }
}

async function readManifest(path: string): Promise<ImageManifest | undefined> {
  const text = await readFileIfExists(join(path, 'image.json'));
  return text === undefined ? undefined : parseImageManifest(text);
}

async function unpack(
  directory: string,
  path: string,
  artifact: ArtifactsConfig['images'][number],
  log: Log,
): Promise<ImageManifest> {
  const beganAt = Date.now();
  log.info('Unpacking an image', { image: artifact.name, key: artifact.key });
  const manifest = parseImageManifest(await readFile(artifact.manifest, 'utf8'));
  if (manifest.name !== artifact.name || manifest.key !== artifact.key)
    throw new Problem('data_loss', `The manifest of image "${artifact.name}" names another one, "${manifest.name}"`, {
      reason: 'image_manifest_wrong',
    });
  const unfinished = join(directory, `${unfinishedPrefix}${randomLabel(8)}`);
  await mkdir(unfinished, { mode: 0o700 });
  const root = join(unfinished, 'root');
  await createSubvolume(root);
  await runCommand(
    'tar',
    [
      '--extract',
      '--zstd',
      '--numeric-owner',
      '--preserve-permissions',
      '--same-owner',
      '--xattrs',
      '--xattrs-include=*',
      '--acls',
      '--file',
      artifact.archive,
      '--directory',
      root,
    ],
    { deadlineMs: unpackDeadlineMs },
  );
  await setReadOnly(root, true);
  await writeFileAtomic(join(unfinished, 'image.json'), `${JSON.stringify(manifest)}\n`);
  await rename(unfinished, path);
  log.info('Unpacked an image', { image: artifact.name, ms: Date.now() - beganAt });
  return manifest;
}
