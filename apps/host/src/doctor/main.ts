/** `main.ts [--json] [--data DIR] [--listen HOST:PORT]`: every need of the machine with its verdict. Exit 1 when one fails. */
import { parseArgs } from 'node:util';
import { controlGroupChecks } from './control-groups.ts';
import type { Check, DoctorQuestion, Finding } from './finding.ts';
import { fail } from './finding.ts';
import { kernelChecks } from './kernel.ts';
import { leftOverChecks } from './left-overs.ts';
import { placeChecks } from './places.ts';
import { privilegeChecks } from './privileges.ts';
import { programChecks } from './programs.ts';
import { snapshotChecks } from './snapshots.ts';
import { findingsAsText } from './text.ts';

const checks: Readonly<Record<string, Check>> = {
  privileges: privilegeChecks,
  programs: programChecks,
  kernel: kernelChecks,
  'control groups': controlGroupChecks,
  places: placeChecks,
  snapshots: snapshotChecks,
  'left-overs': leftOverChecks,
};

async function examine(question: DoctorQuestion): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, check] of Object.entries(checks))
    try {
      findings.push(...(await check(question)));
    } catch (error) {
      findings.push(
        fail(
          name,
          `could not be looked at: ${error instanceof Error ? error.message : String(error)}`,
          'Report this as a defect of Skerry.',
        ),
      );
    }
  return findings;
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    data: { type: 'string', default: '/var/lib/skerry' },
    listen: { type: 'string', default: '127.0.0.1:7070' },
  },
});
const separator = values.listen.lastIndexOf(':');
const findings = await examine({
  dataDir: values.data,
  listenHost: values.listen.slice(0, separator),
  listenPort: Number(values.listen.slice(separator + 1)),
});
process.stdout.write(
  values.json
    ? `${JSON.stringify({ findings }, null, 2)}\n`
    : findingsAsText(findings, process.stdout.isTTY && process.env['NO_COLOR'] === undefined),
);
process.exitCode = findings.some((finding) => finding.verdict === 'fail') ? 1 : 0;
