import { Problem } from '@skerry/model';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

const schema = Compile(
  Type.Object({
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
    key: Type.String({ pattern: '^[a-z0-9]{8,64}$' }),
    createdAt: Type.String(),
    sizeBytes: Type.Integer({ minimum: 0 }),
    config: Type.Object({
      env: Type.Record(Type.String(), Type.String()),
      user: Type.String(),
      workdir: Type.String(),
    }),
  }),
);

/** What set-up says of an image it made. */
export interface ImageManifest {
  readonly name: string;
  readonly key: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly sizeBytes: number;
  readonly config: { readonly env: Readonly<Record<string, string>>; readonly user: string; readonly workdir: string };
}

/** Reads an `image.json`. Throws `data_loss` when it is none. */
export function parseImageManifest(text: string): ImageManifest {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // Judged with everything else that has not the shape.
  }
  if (schema.Check(document)) return document;
  throw new Problem('data_loss', 'An image manifest is not readable', {
    reason: 'image_manifest_unreadable',
    hint: 'Run the set-up again with "--refresh base".',
  });
}
