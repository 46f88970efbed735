/** The same done by bare runsc commands and a btrfs snapshot: what everything of ours is compared with. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@skerry/kit';

const flags = [
  '--platform=systrap',
  '--overlay2=none',
  '--network=none',
  '--allow-live-tcp-migration=false',
  '--host-settings=ignore',
];

/** One sandbox driven by runsc alone: a process that holds so much dirty memory, on a snapshot of an image. */
export class BareRunsc implements AsyncDisposable {
  readonly #directory: string;
  readonly #runsc: string;
  readonly #root: string;
  #serial = 0;
  #id = '';

  constructor(runscPath: string, imageRoot: string, directory: string) {
    this.#runsc = runscPath;
    this.#root = imageRoot;
    this.#directory = directory;
  }

  get disk(): string {
    return join(this.#directory, 'root');
  }

  /** Starts it and waits until its memory is dirty. */
  async start(dirtyMiB: number): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    await runCommand('btrfs', ['subvolume', 'snapshot', this.#root, this.disk]);
    const program = `import os,time; b=bytearray(os.urandom(1024)*1024*${dirtyMiB}); open('/ready','w').close(); time.sleep(1e6)`;
    await writeFile(
      join(this.#directory, 'config.json'),
      JSON.stringify({
        ociVersion: '1.1.0',
        process: {
          user: { uid: 0, gid: 0 },
          args: ['/usr/bin/python3', '-c', program],
          env: ['PATH=/usr/bin:/bin'],
          cwd: '/',
        },
        root: { path: this.disk },
        mounts: [
          { destination: '/proc', type: 'proc', source: 'proc' },
          { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['size=16m'] },
        ],
        annotations: { 'dev.gvisor.internal.checkpoint.enable': 'true' },
        linux: {
          namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }, { type: 'network' }],
        },
      }),
    );
    await this.#next(['run', '--detach', '--bundle', this.#directory]);
    await runCommand('sh', ['-c', `until [ -e "${this.disk}/ready" ]; do sleep 0.01; done`]);
  }

  /** Pauses, saves its memory to an empty directory, and lets it go on unless it is to end. */
  async checkpoint(image: string): Promise<void> {
    await mkdir(image, { recursive: true });
    await this.#run(['pause', this.#id]);
    await this.#run(['checkpoint', '--leave-running', `--image-path=${image}`, this.#id]);
  }

  async goOn(): Promise<void> {
    await this.#run(['resume', this.#id]);
  }

  async restore(image: string): Promise<void> {
    await this.#next(['restore', '--detach', '--bundle', this.#directory, `--image-path=${image}`]);
  }

  async delete(): Promise<void> {
    await this.#run(['delete', '--force', this.#id]);
  }

  async #next(args: readonly string[]): Promise<void> {
    this.#serial += 1;
    this.#id = `bare${process.pid}-${this.#serial}`;
    await this.#run([...args, this.#id]);
  }

  async #run(args: readonly string[]): Promise<void> {
    await runCommand(
      'sh',
      [
        '-c',
        'exec "$@" < /dev/null > /dev/null 2>&1',
        'sh',
        this.#runsc,
        '--root',
        join(this.#directory, 'state'),
        ...flags,
        ...args,
      ],
      {
        deadlineMs: 60_000,
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#id !== '') await this.delete();
    await runCommand('btrfs', ['subvolume', 'delete', this.disk]);
    await runCommand('sh', ['-c', `umount "${this.#directory}/state/null-netns" 2>/dev/null; true`]);
    await rm(this.#directory, { recursive: true, force: true });
  }
}
