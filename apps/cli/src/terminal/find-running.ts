import { type Sandbox, type Skerry, SkerryError } from '@skerry/sdk';
import { printNote } from '../output/print.ts';
import { resumeText } from '../output/resume.ts';

const onItsWay = new Set(['creating', 'starting', 'running']);
const resting = new Set(['pausing', 'paused', 'resuming']);

/** A sandbox to do something in; a paused one is resumed first. Throws, with how to bring it back, when it does not run and is not about to. */
export async function findRunning(skerry: Skerry, name: string): Promise<Sandbox> {
  const sandbox = await skerry.sandboxes.get(name);
  const { status, rest } = sandbox.view;
  if (onItsWay.has(status)) return sandbox;
  const mayWake = status === 'resuming' || rest.wakeOn !== 'never';
  if (resting.has(status) && mayWake) {
    const resumed = await skerry.sandboxes.resume(sandbox.id);
    if (resumed.view.resume?.why !== undefined)
      printNote(`skerry: "${resumed.name}" came back ${resumeText(resumed.view)}`);
    return resumed;
  }
  throw new SkerryError({
    code: 'conflict',
    reason: 'sandbox_not_running',
    message: `The sandbox "${sandbox.name}" is ${status}${resting.has(status) ? ', and nothing but "resume" wakes it' : ''}`,
    hint: status.startsWith('delet')
      ? 'Make a new one with "skerry create".'
      : resting.has(status)
        ? `Resume it with "skerry resume ${sandbox.name}".`
        : `Start it with "skerry start ${sandbox.name}".`,
    status: 409,
  });
}
