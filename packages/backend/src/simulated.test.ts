import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, Problem } from '@skerry/model';
import { backendConformance } from './conformance.ts';
import { SimulatedBackend } from './simulated.ts';

const backend = new SimulatedBackend();
backendConformance(() => backend, { image: 'base', memoryMiB: 256 });

test('inject() fails the wanted call before or after its effect', async () => {
  const simulated = new SimulatedBackend();
  const spec = () => ({
    diskId: newId('disk'),
    sandboxId: newId('sandbox'),
    image: 'base',
    sizeMiB: 64,
    durable: true,
    owner: { version: 1, project: 'p', sandbox: {} } as const,
  });
  simulated.faults.inject({ call: 'createDisk', when: 'before', skip: 1 });
  simulated.faults.inject({ call: 'createDisk', when: 'after', skip: 1, problem: new Problem('internal', 'lost') });
  await simulated.createDisk(spec());
  await assert.rejects(simulated.createDisk(spec()), { code: 'unavailable' });
  assert.equal(simulated.contents.disks.length, 1);
  await assert.rejects(simulated.createDisk(spec()), { code: 'internal' });
  assert.equal(simulated.contents.disks.length, 2);
  await simulated.createDisk(spec());
});
