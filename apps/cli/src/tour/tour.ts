import { type Sandbox, type Skerry, SkerryError } from '@skerry/sdk';
import { paint, printLine } from '../output/print.ts';
import { resumeText } from '../output/resume.ts';
import { formatBytes, formatDuration } from '../output/units.ts';
import { LiveWork } from './live-work.ts';
import { projectFiles } from './project.ts';

const workName = 'tour-work';
const otherName = 'tour-other';
const forkName = 'tour-fork';
const folder = '/home/user/ledger';

type Step = readonly [title: string, run: () => Promise<string>];

/** What the tour may do to the instance itself. */
export interface TourInstance {
  /** Kills every program of Skerry at once; gives back how many. */
  kill(): Promise<number>;
  /** Starts it again, and gives back a client of it. */
  up(): Promise<Skerry>;
}

/**
 * Shows the main job on real input, a line a step with its time. Gives back whether every step succeeded. Without `instance`, as when Skerry ran
 * before, it is not killed.
 */
export async function runTour(client: Skerry, instance: TourInstance | undefined): Promise<boolean> {
  const begun = performance.now();
  let skerry = client;
  let sandbox: Sandbox | undefined;
  let live: LiveWork | undefined;
  const work = (): Sandbox => {
    if (sandbox === undefined) throw new Error('The sandbox was not made');
    return sandbox;
  };
  const liveWork = (): LiveWork => {
    if (live === undefined) throw new Error('Nothing was started');
    return live;
  };
  const crash: readonly Step[] =
    instance === undefined
      ? []
      : [
          [
            'kill -9 of Skerry: all of its programs at once',
            async () => `${await instance.kill()} processes are gone; nobody answers`,
          ],
          [
            'up: the three never stopped',
            async () => {
              skerry = await instance.up();
              sandbox = await skerry.sandboxes.get(workName);
              await liveWork().attachAgain(sandbox);
              return liveWork().look();
            },
          ],
        ];
  const steps: readonly Step[] = [
    [
      'make a persistent sandbox',
      async () => {
        for (const name of [workName, otherName, forkName]) await removeIfThere(skerry, name);
        sandbox = await skerry.sandboxes.create({ name: workName });
        return lastLine(await shell(work(), 'echo "$(whoami)@$(hostname), $(nproc) CPUs, kernel $(uname -r)"'));
      },
    ],
    [
      'write a git repository into it',
      async () => {
        for (const [path, text] of Object.entries(projectFiles)) await work().files.write(`${folder}/${path}`, text);
        return lastLine(
          await shell(
            work(),
            `cd ${folder} && git init -q && git config user.name tour && git config user.email tour@localhost && git add . && git commit -qm 'Add the ledger' && git log --oneline`,
          ),
        );
      },
    ],
    [
      'install its dependency with npm',
      async () => lastLine(await shell(work(), `cd ${folder} && npm install --no-audit --no-fund --loglevel=error`)),
    ],
    ['run its tests', () => runTests(work())],
    ['stop it: nothing runs, the disk is kept', async () => (await skerry.sandboxes.stop(workName)).view.status],
    [
      'start it again',
      async () => {
        sandbox = await skerry.sandboxes.start(workName);
        return lastLine(await shell(work(), `cd ${folder} && git status --short --branch && ls node_modules`));
      },
    ],
    ['run its tests, with nothing installed again', () => runTests(work())],
    [
      'a counter, a shell on a terminal, a Python session',
      async () => {
        live = await LiveWork.start(work());
        return live.look();
      },
    ],
    [
      'pause it: memory and disk are saved',
      async () => {
        const { view } = await skerry.sandboxes.pause(workName);
        const [point] = await Array.fromAsync(skerry.snapshots.list({ sandbox: workName, all: true }));
        const saved = point === undefined ? '' : `, ${formatBytes(point.memoryBytes)} of memory`;
        return `${view.status}${saved}; the three wait without noticing`;
      },
    ],
    [
      'resume it: the three go on where they were',
      async () => {
        sandbox = await skerry.sandboxes.resume(workName);
        if (sandbox.view.resume?.from === 'disk') throw new Error(`It came back ${resumeText(sandbox.view)}`);
        const seen = await liveWork().look();
        if (!liveWork().hasEveryCount()) throw new Error('A line of the counter was lost');
        return seen;
      },
    ],
    [
      'fork it: a copy with a life of its own',
      async () => {
        const [fork] = await skerry.sandboxes.fork(workName, { names: [forkName] });
        if (fork === undefined) throw new Error('There is no copy');
        const there = await fork.process.list();
        const host = lastLine(await shell(fork, 'hostname'));
        await skerry.sandboxes.delete(forkName);
        return `${host}: the same ${there.length} processes run on in it`;
      },
    ],
    ...crash,
    [
      'an ephemeral sandbox sees none of it',
      async () => {
        const other = await skerry.sandboxes.create({ name: otherName, kind: 'ephemeral' });
        const found = await shell(other, `[ ! -e ${folder} ] && echo 'no ledger here'; echo secret > ~/scratch`);
        return lastLine(found);
      },
    ],
    [
      'and leaves nothing behind',
      async () => {
        await skerry.sandboxes.delete(otherName);
        const garbage = await skerry.system.garbage();
        if (garbage.length > 0) throw new Error(`${garbage.length} things are left: ${garbage[0]?.name}`);
        for await (const left of skerry.sandboxes.list({ name: otherName }))
          throw new Error(`"${left.name}" is ${left.status}`);
        return 'no disk, process, namespace or rule is left';
      },
    ],
    [
      'delete the first',
      async () => {
        await liveWork().leave();
        await skerry.sandboxes.delete(workName);
        return 'gone';
      },
    ],
  ];

  printLine(paint('A tour of what Skerry does:', 'bold'));
  for (const [index, [title, run]] of steps.entries()) {
    const start = performance.now();
    const number = String(index + 1).padStart(2);
    try {
      const shown = await run();
      const took = formatDuration(performance.now() - start).padStart(8);
      printLine(`${paint('✓', 'green')} ${number}  ${title.padEnd(52)}${took}`);
      printLine(paint(`       ${shown.slice(0, 72)}`, 'dim'));
    } catch (error) {
      printLine(`${paint('✗', 'red')} ${number}  ${title}`);
      printLine(`       ${error instanceof Error ? error.message : String(error)}`);
      if (error instanceof SkerryError && error.hint !== undefined) printLine(`       ${error.hint}`);
      printLine('The tour ends here: the steps that follow need this one.');
      return false;
    }
  }
  printLine(`${paint('All steps succeeded', 'green')} in ${formatDuration(performance.now() - begun)}.`);
  return true;
}

async function runTests(sandbox: Sandbox): Promise<string> {
  const output = await shell(sandbox, `cd ${folder} && npm test 2>&1`);
  const passed = /pass (\d+)/.exec(output)?.[1];
  const failed = /fail (\d+)/.exec(output)?.[1];
  if (passed !== '2' || failed !== '0') throw new Error(`The tests said: ${output.slice(-500)}`);
  return `${passed} passed, ${failed} failed`;
}

/** Runs a shell command and gives back its output. Throws with its last words when it fails. */
async function shell(sandbox: Sandbox, command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await sandbox.process.run({
    command: ['bash', '-lc', command],
    timeoutMs: 180_000,
  });
  if (exitCode !== 0) throw new Error(`"${command}" ended with ${exitCode}: ${(stderr || stdout).trim().slice(-500)}`);
  return stdout;
}

async function removeIfThere(skerry: Skerry, name: string): Promise<void> {
  try {
    await skerry.sandboxes.delete(name);
  } catch (error) {
    if (!(error instanceof SkerryError) || error.code !== 'not_found') throw error;
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
