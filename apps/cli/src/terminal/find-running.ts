import { type Sandbox, type Skerry, SkerryError } from '@skerry/sdk';

const onItsWay = new Set(['creating', 'starting', 'running']);

/** A sandbox to do something in. Throws, with how to start it, when it does not run and is not about to. */
export async function findRunning(skerry: Skerry, name: string): Promise<Sandbox> {
  const sandbox = await skerry.sandboxes.get(name);
  if (onItsWay.has(sandbox.view.status)) return sandbox;
  const { status } = sandbox.view;
  throw new SkerryError({
    code: 'conflict',
    reason: 'sandbox_not_running',
    message: `The sandbox "${sandbox.name}" is ${status}`,
    hint: status.startsWith('delet')
      ? 'Make a new one with "skerry create".'
      : `Start it with "skerry start ${sandbox.name}".`,
    status: 409,
  });
}
