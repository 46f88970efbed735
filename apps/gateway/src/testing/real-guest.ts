import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Route } from '@skerry/protocol';

const guestDirectory = fileURLToPath(new URL('../../../../guest', import.meta.url));
const secret = 'boot-secret-of-the-test';

/** The real guest program, in process, host name and mount namespaces of its own, answering on a loopback address. */
export interface RealGuest extends AsyncDisposable {
  readonly address: string;
  /** Folder in which tests may leave files. */
  readonly directory: string;
}

/** Builds and starts the guest at `route.address`, and initialises it with the route's token. */
export async function startRealGuest(
  route: Pick<Route, 'address' | 'accessToken' | 'bootId' | 'sandboxId' | 'generation'>,
): Promise<RealGuest> {
  const directory = await mkdtemp(join(tmpdir(), 'gateway-guest-'));
  const program = join(directory, 'skerry-guest');
  await promisify(execFile)('go', ['build', '-o', program, '.'], {
    cwd: guestDirectory,
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  const { address } = route;
  // A home of its own: login shells run what is in the machine's, and tests kill them in the middle of it.
  const script = 'mount --make-rprivate / && mount -t tmpfs none /root && exec "$0" "$@"';
  const namespaces = ['--uts', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const listening = ['-public', `${address}:49983`, '-control', `${address}:49982`];
  const child = spawn(
    'unshare',
    [...namespaces, 'sh', '-ec', script, program, ...listening, '-generation', join(directory, 'generation.json')],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', SKERRY_BOOT_SECRET: secret },
    },
  );
  const exited = once(child, 'exit');
  const dispose = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const init = {
      protocolVersion: 1,
      bootId: route.bootId,
      sandboxId: route.sandboxId,
      generation: route.generation,
      accessToken: route.accessToken,
      hostname: '',
      defaultUser: 'root',
      env: { FROM_SANDBOX: 'yes' },
    };
    for (let attempt = 0; !(await control(address, init)); attempt++) {
      if (attempt > 200) throw new Error('The guest does not answer');
      await sleep(25);
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { address, directory, [Symbol.asyncDispose]: dispose };
}

async function control(address: string, init: unknown): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'x-skerry-boot-secret': secret };
    const outgoing = request(
      { host: address, port: 49982, method: 'POST', path: '/init', headers, agent: false },
      (incoming) => {
        incoming.resume();
        if (incoming.statusCode === 200) resolve(true);
        else reject(new Error(`The guest answered ${incoming.statusCode} to /init`));
      },
    );
    outgoing.once('error', () => resolve(false));
    outgoing.end(JSON.stringify(init));
  });
}
