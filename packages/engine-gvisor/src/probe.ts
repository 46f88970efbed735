import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { tryCommand } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { type Runsc, sandboxFlags } from './runsc.ts';

const deadlineMs = 20_000;

/** Proves that this runsc is the build that was asked for, and that it can run something here. Throws `unsupported` with a remedy. */
export async function probeRunsc(runsc: Runsc, version: string, signal?: AbortSignal): Promise<void> {
  const options = { deadlineMs, ...(signal === undefined ? {} : { signal }) };
  const told = await tryCommand(runsc.path, ['--version'], options).catch((cause: unknown) => {
    throw unsupported(`"${runsc.path}" cannot be started`, 'Run "skerry setup" to build it again.', cause);
  });
  const found = /^runsc version (\S+)/.exec(told.stdout)?.[1];
  if (found !== version)
    throw unsupported(
      `"${runsc.path}" is version "${found ?? 'unknown'}", not "${version}"`,
      'Run "skerry setup" to build it again.',
    );
  await mkdir(runsc.stateDir, { recursive: true, mode: 0o711 });
  const directory = await mkdtemp(join(runsc.stateDir, 'probe-'));
  const id = basename(directory);
  try {
    await mkdir(join(directory, 'root'));
    await writeFile(join(directory, 'config.json'), JSON.stringify(probeConfig(runsc.path)));
    const args = ['--root', runsc.stateDir, ...sandboxFlags, '--ignore-cgroups'];
    const ran = await tryCommand(runsc.path, [...args, 'run', '--bundle', directory, id], options);
    if (ran.status !== 0 || !ran.stdout.includes(version))
      throw unsupported(
        `gVisor's systrap platform cannot run a program on this machine: ${ran.timedOut ? `no answer in ${deadlineMs} ms` : ran.stderr.slice(-500)}`,
        'Skerry must run as root, with ptrace and seccomp allowed; inside a container it needs a privileged one.',
      );
  } finally {
    await tryCommand(runsc.path, ['--root', runsc.stateDir, 'delete', '--force', id], { deadlineMs }).catch(
      () => undefined,
    );
    await rm(directory, { recursive: true, force: true });
  }
}

function unsupported(message: string, hint: string, cause?: unknown): Problem {
  return new Problem('unsupported', message, { reason: 'engine_unusable', hint, cause });
}

/** Runs runsc's own binary, which is static, in an otherwise empty root. */
function probeConfig(runscPath: string): object {
  return {
    ociVersion: '1.1.0',
    process: { user: { uid: 0, gid: 0 }, args: ['/runsc', '--version'], env: [], cwd: '/' },
    root: { path: 'root', readonly: false },
    hostname: 'probe',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/runsc', type: 'bind', source: runscPath, options: ['bind', 'ro'] },
    ],
    linux: { namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }, { type: 'network' }] },
  };
}
