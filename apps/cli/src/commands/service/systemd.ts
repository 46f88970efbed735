import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { promisify } from 'node:util';
import { SkerryError } from '@skerry/sdk';

export const unitName = 'skerry.service';
export const unitFile = `/etc/systemd/system/${unitName}`;

/** Throws when services cannot be installed here: no systemd, or not root. */
export async function requireSystemd(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new SkerryError({
      code: 'forbidden',
      reason: 'not_root',
      message: 'Only root can change services',
      hint: 'Use sudo.',
      status: 0,
    });
  // Source: sd_booted(3).
  const booted = await access('/run/systemd/system').then(
    () => true,
    () => false,
  );
  if (!booted)
    throw new SkerryError({
      code: 'unsupported',
      reason: 'no_systemd',
      message: 'This machine was not started by systemd',
      hint: 'Use "skerry up --detach", or have your own init run "skerry up".',
      status: 0,
    });
}

export async function systemctl(...args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('systemctl', [...args]);
  } catch (cause) {
    const said =
      typeof cause === 'object' && cause !== null && 'stderr' in cause ? String(cause.stderr).trim() : String(cause);
    throw new SkerryError({
      code: 'internal',
      reason: 'systemctl_failed',
      message: `"systemctl ${args.join(' ')}" failed: ${said}`,
      hint: `See "systemctl status ${unitName}".`,
      status: 0,
      cause,
    });
  }
}
