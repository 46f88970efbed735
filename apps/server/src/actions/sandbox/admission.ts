import type { BackendDescription, BackendImage } from '@skerry/backend';
import { type Isolation, isolations, Problem, type Resources } from '@skerry/model';
import type { Core } from '../../core.ts';

/** Throws `unavailable` while everything is brought to rest. */
export function refuseWhileResting(core: Core): void {
  if (core.rest.resting)
    throw new Problem('unavailable', 'Skerry is going down and starts nothing any more', {
      reason: 'resting',
      hint: 'Try again when it is up.',
    });
}

/** The image of a template. Throws `not_found`. */
export function imageOf(description: BackendDescription, template: string): BackendImage {
  const image = description.images.find((candidate) => candidate.name === template);
  if (image !== undefined) return image;
  const names = description.images.map((candidate) => `"${candidate.name}"`).join(', ');
  throw new Problem('not_found', `There is no template "${template}"`, {
    reason: 'template_not_found',
    hint: `There is ${names === '' ? 'none yet' : names}.`,
  });
}

/** Throws `unsupported` when no engine isolates as strongly as was asked for: isolation is never weakened. */
export function checkIsolation(description: BackendDescription, wanted: Isolation | 'any'): void {
  if (wanted === 'any') return;
  const strength = isolations.indexOf(wanted);
  if (description.engines.some((engine) => isolations.indexOf(engine.isolation) >= strength)) return;
  const present = description.engines.map((engine) => `"${engine.isolation}" (${engine.name})`).join(', ');
  throw new Problem('unsupported', `This host cannot isolate by "${wanted}"`, {
    reason: 'isolation_unsupported',
    hint: `It has ${present === '' ? 'no engine' : present}. Skerry never weakens a request; ask for "any" to take what there is.`,
  });
}

/** Throws `exhausted` for what the host could not run even when empty. */
export function checkFits(description: BackendDescription, resources: Resources): void {
  if (resources.memoryMiB > description.memoryMiB)
    throw new Problem(
      'exhausted',
      `The sandbox wants ${resources.memoryMiB} MiB of memory, and the host has ${description.memoryMiB} MiB`,
      {
        reason: 'host_too_small',
        exhaustion: 'capacity',
        hint: 'Ask for less memory.',
      },
    );
  if (description.diskFreeBytes <= 0)
    throw new Problem('exhausted', "The host's disk is full", {
      reason: 'host_disk_full',
      exhaustion: 'disk',
      hint: 'Delete sandboxes that are no longer needed, or give the host more disk.',
    });
}
