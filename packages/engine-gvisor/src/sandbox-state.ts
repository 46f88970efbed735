import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readFileIfExists, tryCommand } from '@skerry/kit';
import { type BootId, isId } from '@skerry/model';

/** What runsc wrote down of one sandbox. */
export interface SandboxState {
  /** `creating`, `created`, `running`, `paused` or `stopped`; only as fresh as runsc's last call. */
  readonly status: string;
  readonly sandboxPid: number;
  /** 0 without one. */
  readonly goferPid: number;
  readonly controlSocket: string;
  readonly bundle: string;
}

function statePath(stateDir: string, bootId: BootId): string {
  return join(stateDir, `${bootId}_sandbox:${bootId}.state`);
}

/** Reads runsc's state of a boot; `undefined` when there is none. One that a killed runsc left torn has an empty status. */
export async function readSandboxState(stateDir: string, bootId: BootId): Promise<SandboxState | undefined> {
  const text = await readFileIfExists(statePath(stateDir, bootId));
  if (text === undefined) return undefined;
  try {
    const state = JSON.parse(text) as {
      status?: string;
      goferPid?: number;
      bundleDir?: string;
      sandbox?: { pid?: number; controlSocketPath?: string };
    };
    return {
      status: state.status ?? '',
      sandboxPid: state.sandbox?.pid ?? 0,
      goferPid: state.goferPid ?? 0,
      controlSocket: state.sandbox?.controlSocketPath ?? '',
      bundle: state.bundleDir ?? '',
    };
  } catch {
    return { status: '', sandboxPid: 0, goferPid: 0, controlSocket: '', bundle: '' };
  }
}

/** Boots of which runsc's directory holds anything, torn states and forgotten sockets included. */
export async function listSandboxStates(stateDir: string): Promise<BootId[]> {
  const found = new Set<BootId>();
  for (const name of await readdir(stateDir).catch(() => [])) {
    const id = /^(?:runsc-)?([a-z0-9]+)(?:_sandbox:|\.sock$)/.exec(name)?.[1] ?? '';
    if (isId('boot', id)) found.add(id);
  }
  return [...found];
}

/** Forgets a boot whose processes have ended. */
export async function removeSandboxState(stateDir: string, bootId: BootId): Promise<void> {
  const state = await readSandboxState(stateDir, bootId);
  const socket = `runsc-${bootId}.sock`;
  // runsc falls back to other directories when it cannot bind in its own; only that very name is ever removed there.
  if (state?.controlSocket.endsWith(`/${socket}`) === true) await rm(state.controlSocket, { force: true });
  await Promise.all(
    [socket, `${bootId}_sandbox:${bootId}.lock`].map(async (name) => rm(join(stateDir, name), { force: true })),
  );
  await rm(statePath(stateDir, bootId), { force: true });
}

/** Removes runsc's directory when it holds no boot any more, with the empty network namespace that runsc keeps pinned there for all gofers. */
export async function clearStateDir(stateDir: string): Promise<void> {
  const pinned = join(stateDir, 'null-netns');
  while ((await tryCommand('umount', [pinned])).status === 0);
  await rm(stateDir, { recursive: true, force: true });
}
