import { Problem } from '@skerry/model';
import {
  bodyParser,
  ByteAnswer,
  DiffBody,
  type HostImport,
  hostPaths,
  idSchema,
  type JsonHandler,
  OwnerBlobSchema,
} from '@skerry/protocol';
import { Type } from 'typebox';
import type { Host } from '../host.ts';
import { pathId } from './path-id.ts';

const parseDiff = bodyParser(DiffBody);
const parseImport = bodyParser(Type.Object({ sandboxId: idSchema('sandbox'), owner: OwnerBlobSchema }));

/** What leaves and enters as a file, and what is different between two states. */
export function exportRoutes(host: Host): Record<string, JsonHandler> {
  return {
    [hostPaths.diff]: async (request) => {
      const { before, after, limit } = parseDiff(request.body);
      return host.compare(before, after, limit, request.signal);
    },
    [hostPaths.exportSnapshot]: async (request) => {
      const snapshotId = pathId(request, 'snapshot');
      // Told before the first byte is sent.
      host.snapshots.get(snapshotId);
      return new ByteAnswer(host.exports.export(snapshotId, request.query.get('memory') === 'true', request.signal));
    },
    [hostPaths.importSnapshot]: async (request): Promise<HostImport> => {
      const { sandboxId, owner } = parseImport({
        sandboxId: request.query.get('sandboxId'),
        owner: parseOwner(request.query.get('owner') ?? ''),
      });
      return host.exports.import(
        { snapshotId: pathId(request, 'snapshot'), sandboxId, owner },
        request.content,
        request.signal,
      );
    },
  };
}

function parseOwner(base64url: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64url, 'base64url').toString()) as unknown;
  } catch (cause) {
    throw new Problem('invalid', '"owner" is not JSON in base64url', { reason: 'invalid_query', cause });
  }
}
