import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Problem } from '@skerry/model';
import { type HostConfig, oneOf } from '@skerry/protocol';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

const text = Type.String({ minLength: 1 });
const path = Type.String({ pattern: '^/[^\\0]*$' });
const id = Type.Integer({ minimum: 1 });
const schema = Compile(
  Type.Object({
    version: Type.Literal(1),
    instance: Type.String({ pattern: '^[a-z0-9]{6}$' }),
    storeDir: path,
    storeImage: path,
    storeSizeMiB: Type.Integer({ minimum: 256 }),
    runDir: path,
    socketPath: path,
    artifacts: Type.Object({
      runsc: Type.Object({ path, version: text }),
      guest: Type.Object({ path, sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }), version: text }),
      images: Type.Array(
        Type.Object({
          name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
          key: Type.String({ pattern: '^[a-z0-9]{8,64}$' }),
          archive: path,
          manifest: path,
        }),
      ),
      machine: Type.Object({
        caBundle: Type.Union([path, Type.Null()]),
        env: Type.Record(Type.String(), Type.String()),
      }),
    }),
    network: Type.Object({
      subnet: text,
      gatewayUid: id,
      egressUid: id,
      resolverPort: Type.Integer({ minimum: 1, maximum: 65535 }),
      allowEgress: Type.Array(Type.String()),
    }),
    exportKeys: Type.Optional(Type.Object({ ownKeyFile: path, trustedDir: path })),
    logLevel: oneOf(['debug', 'info', 'warn', 'error']),
  }),
);

/** Reads the file named by `--config` of these arguments. Throws `invalid` naming the first wrong field. */
export async function readConfig(args: readonly string[]): Promise<HostConfig> {
  const { values } = parseArgs({ args: [...args], options: { config: { type: 'string' } } });
  if (values.config === undefined)
    throw new Problem('invalid', 'The option "--config FILE" is missing', { reason: 'config_missing' });
  return parseConfig(await readFile(values.config, 'utf8'));
}

/** Reads the text of a host configuration. Throws `invalid`. */
export function parseConfig(content: string): HostConfig {
  let document: unknown;
  try {
    document = JSON.parse(content);
  } catch (cause) {
    throw new Problem('invalid', 'The configuration is not JSON', { reason: 'config_invalid', cause });
  }
  // The schema's optional fields admit `undefined`, which JSON has not.
  if (schema.Check(document)) return document as HostConfig;
  const [first] = schema.Errors(document);
  throw new Problem(
    'invalid',
    `The configuration is not valid: "${first?.instancePath ?? '/'}" ${first?.message ?? ''}`,
    { reason: 'config_invalid' },
  );
}
