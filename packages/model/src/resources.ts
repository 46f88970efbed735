import { Problem } from './problem.ts';

/** What a sandbox may use. */
export interface Resources {
  /** CPU time in cores, such as 0.5. */
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
}

export const defaultResources: Resources = { cpus: 2, memoryMiB: 1024, diskMiB: 10240 };

/** The least and the most that may be asked for; a host may allow less. */
export const resourceBounds = {
  cpus: { least: 0.1, most: 64 },
  memoryMiB: { least: 128, most: 1024 * 1024 },
  diskMiB: { least: 64, most: 16 * 1024 * 1024 },
} as const;

/** Fills in the defaults and checks the bounds. Throws `invalid`. */
export function checkResources(wanted: Partial<Resources>): Resources {
  const resources = { ...defaultResources, ...wanted };
  for (const key of ['cpus', 'memoryMiB', 'diskMiB'] as const) {
    const { least, most } = resourceBounds[key];
    const value = resources[key];
    if (!Number.isFinite(value) || value < least || value > most || (key !== 'cpus' && !Number.isInteger(value)))
      throw new Problem('invalid', `"${key}" is ${value}, outside ${least} to ${most}`, {
        reason: 'invalid_resources',
      });
  }
  return resources;
}
