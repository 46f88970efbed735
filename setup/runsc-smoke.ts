import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeScratch } from './cache.ts';
import { runCommand, tryCommand } from './run-command.ts';
import { SetupFailure } from './setup-failure.ts';

export interface SmokeResult {
  readonly starts: number;
  readonly ms: number;
}

const STARTS = 50;
const AT_ONCE = 4;

/**
 * Threads that sleep and wake exercise the goroutine switches that a build with the wrong Go gets wrong; each start is a fresh sentry.
 * The answer is computed inside, so that a start that ran nothing cannot pass.
 */
const PROGRAM = `
import threading, time
total = []
def work(n):
    s = 0
    for i in range(40):
        time.sleep(0.001)
        s += sum(range(n * 100))
    total.append(s)
threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
for t in threads: t.start()
for t in threads: t.join()
print("answer", len(total), sum(total))
`;
const ANSWER = 'answer 8 40728000';

function bundleConfig(rootfs: string): unknown {
  return {
    ociVersion: '1.1.0',
    process: {
      user: { uid: 1000, gid: 1000 },
      args: ['/usr/bin/python3', '-c', PROGRAM],
      env: ['PATH=/usr/bin:/bin', 'LANG=C.UTF-8'],
      cwd: '/',
    },
    root: { path: rootfs, readonly: true },
    hostname: 'smoke',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['size=16m'] },
    ],
    linux: { namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }, { type: 'network' }] },
  };
}

/** Starts a threaded program 50 times with the binary. Throws at the first start that fails, with what runsc said. Leaves nothing behind. */
export async function smokeTest(cache: string, binary: string, rootfsArchive: string): Promise<SmokeResult> {
  const scratch = await makeScratch(cache, 'smoke');
  try {
    const rootfs = join(scratch, 'rootfs');
    await mkdir(rootfs);
    await runCommand('tar', ['--use-compress-program=zstd', '--numeric-owner', '-xpf', rootfsArchive, '-C', rootfs]);
    const bundle = join(scratch, 'bundle');
    await mkdir(bundle);
    await writeFile(join(bundle, 'config.json'), JSON.stringify(bundleConfig(rootfs)));
    const flags = [
      ...['--platform=systrap', '--network=none', '--overlay2=none', '--ignore-cgroups', '--host-settings=ignore'],
    ];
    const begun = performance.now();
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let start = next++; start < STARTS; start = next++) {
        await startOnce(
          binary,
          ['--root', join(scratch, `state-${start}`), ...flags],
          bundle,
          `smoke-${process.pid}-${start}`,
        );
      }
    };
    const lanes = Array.from({ length: AT_ONCE }, () => lane());
    await Promise.allSettled(lanes);
    await Promise.all(lanes);
    return { starts: STARTS, ms: Math.round(performance.now() - begun) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function startOnce(binary: string, flags: readonly string[], bundle: string, id: string): Promise<void> {
  // In namespaces of its own: whatever the start leaves (processes, the mount that holds its empty network) ends with it.
  const isolated = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const run = await tryCommand('unshare', [...isolated, binary, ...flags, 'run', '--bundle', bundle, id], {
    timeoutMs: 60_000,
  });
  if (run.code === 0 && run.stdout.trim() === ANSWER) return;
  throw new SetupFailure(
    `The runsc that was built failed its smoke test: start "${id}" ended with exit code ${run.code} and said "${run.stdout.trim()}".\n${run.stderr.trim().split('\n').slice(-20).join('\n')}`,
    'A crash here means that this machine or its Go cannot run gVisor reliably. Check "go version" (1.26.x), free memory and the kernel, then run the same command again. Nothing was kept.',
  );
}
