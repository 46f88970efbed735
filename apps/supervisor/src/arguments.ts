import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Problem } from '@skerry/model';
import { type ListenAddress, parseListen } from './instance/listen.ts';

export interface SupervisorArguments {
  readonly dataDir: string;
  /** What set-up made: a file with `ArtifactsConfig`. */
  readonly artifactsFile: string;
  /** Absent: as it was last time, or the default. */
  readonly listen: ListenAddress | undefined;
  readonly insecure: boolean;
  /** Bring the instance down instead of up: used when no supervisor is alive to be asked. */
  readonly down: boolean;
  /** Make the database anew from what is on disk, and end. */
  readonly recover: boolean;
  /** Only with `recover`: put a database that is there aside. */
  readonly replace: boolean;
  readonly allowEgress: readonly string[];
}

/** Reads the command line. Throws `invalid`. */
export function parseArguments(args: readonly string[]): SupervisorArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string' },
      artifacts: { type: 'string' },
      listen: { type: 'string' },
      insecure: { type: 'boolean', default: false },
      down: { type: 'boolean', default: false },
      recover: { type: 'boolean', default: false },
      replace: { type: 'boolean', default: false },
      'allow-egress': { type: 'string', multiple: true, default: [] },
    },
  });
  if (values.data === undefined || values.artifacts === undefined)
    throw new Problem('invalid', 'Give --data DIR and --artifacts FILE', { hint: 'Use "skerry up": it does.' });
  return {
    dataDir: resolve(values.data),
    artifactsFile: resolve(values.artifacts),
    listen: values.listen === undefined ? undefined : parseListen(values.listen),
    insecure: values.insecure,
    down: values.down,
    recover: values.recover,
    replace: values.replace,
    allowEgress: values['allow-egress'],
  };
}
