import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tryCommand } from '@skerry/kit';
import { controllersOfV1 } from './control-groups.ts';
import { fail, pass, warn } from './finding.ts';
import { kernelIsNewEnough } from './kernel.ts';
import { instancesIn } from './left-overs.ts';
import { droppingChains } from './places.ts';
import { missingCapabilities } from './privileges.ts';
import { findingsAsText } from './text.ts';

test('kernelIsNewEnough() compares numbers, not text', () => {
  assert.deepEqual(['4.19.0', '5.4.1-generic', '5.16.0', '6.1.0-13-amd64', '10.0'].map(kernelIsNewEnough), [
    false,
    false,
    true,
    true,
    true,
  ]);
});

test('missingCapabilities() names what a mask lacks', () => {
  assert.deepEqual(missingCapabilities(0x1fffeffffffn), []);
  assert.ok(missingCapabilities(0n).includes('CAP_SYS_ADMIN'));
});

test('controllersOfV1() finds joined controllers', () => {
  const found = controllersOfV1(
    'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n',
  );
  assert.deepEqual([found.has('cpu'), found.has('cpuacct'), found.has('memory')], [true, true, false]);
});

test('instancesIn() knows the names of Skerry and no others', () => {
  const found = instancesIn([
    'skabc123-7',
    'skabc123v7',
    'skerry_abc123',
    'skerry-zzz999',
    '/run/skerry/abc123',
    'eth0',
    'docker0',
    'skabc-1',
  ]);
  assert.deepEqual([...found.keys()], ['abc123', 'zzz999']);
  assert.equal(found.get('abc123')?.length, 4);
});

test('findingsAsText() gives the remedy of what does not pass, and sums up', () => {
  const text = findingsAsText([pass('a', 'fine'), warn('b', 'less', 'do b'), fail('c', 'none', 'do c')], false);
  assert.match(text, /→ do b[\s\S]*→ do c[\s\S]*does not run here[\s\S]*1 pass, 1 warn, 1 fail/);
});

test('doctor prints one JSON document in which everything that does not pass has a remedy', async () => {
  const result = await tryCommand(process.execPath, [
    fileURLToPath(new URL('./main.ts', import.meta.url)),
    '--json',
    '--listen',
    '127.0.0.1:0',
  ]);
  const { findings } = JSON.parse(result.stdout) as { findings: { verdict: string; remedy?: string }[] };
  assert.ok(findings.length > 10);
  for (const finding of findings)
    assert.equal(finding.remedy === undefined, finding.verdict === 'pass', JSON.stringify(finding));
  assert.equal(result.status, findings.some((finding) => finding.verdict === 'fail') ? 1 : 0);
});

test("droppingChains() finds other programs' firewalls that drop what is forwarded", () => {
  const chain = (table: string, hook: string | undefined, policy: string | undefined) => ({
    chain: { family: 'ip', table, name: 'FORWARD', ...(hook === undefined ? {} : { hook, policy }) },
  });
  const listing = [
    { metainfo: { version: '1.0.6' } },
    chain('filter', 'forward', 'drop'),
    chain('filter', 'input', 'drop'),
    chain('other', 'forward', 'accept'),
    chain('skerry_abc', 'forward', 'drop'),
    chain('plain', undefined, undefined),
  ];
  assert.deepEqual(droppingChains(JSON.stringify({ nftables: listing })), ['"ip filter FORWARD"']);
});
