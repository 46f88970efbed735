import type { GuestAddress, GuestSetup } from '../guest/guest-control.ts';
import type { BootContext } from './boot-parts.ts';

/** Where the guest of a boot is reached. */
export function guestAddress({ file }: BootContext): GuestAddress {
  return { address: file.record.lease?.address ?? '', secret: file.record.secret };
}

/** What the guest of a boot is told before it serves anybody. */
export function guestSetup({ parts, file }: BootContext): GuestSetup {
  const { spec, generationId } = file.record;
  const { images, disks, machineEnv, caBundle, snapshots } = parts;
  const restored =
    spec.restoreFrom === undefined
      ? {}
      : {
          restored: {
            as: spec.restoreAs ?? ('resume' as const),
            savedAtUnixMs: snapshots.get(spec.restoreFrom).savedAtMs,
          },
        };
  return {
    bootId: spec.bootId,
    sandboxId: spec.sandboxId,
    generation: spec.generation,
    accessToken: spec.accessToken,
    hostname: spec.hostname,
    defaultUser: spec.user,
    ...(spec.workdir === undefined ? {} : { defaultWorkdir: spec.workdir }),
    env: { ...images.envOf(disks.get(spec.diskId).image), ...machineEnv, ...spec.env },
    ...(caBundle === undefined ? {} : { caBundle }),
    generationId: generationId ?? '',
    ...restored,
  };
}
