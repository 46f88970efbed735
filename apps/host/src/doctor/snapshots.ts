import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readFileIfExists } from '@skerry/kit';
import { hasGuest } from '../guest/guest-binaries.ts';
import { parseSnapshotRecord, type SnapshotRecord } from '../snapshots/snapshot-record.ts';
import { storeLayout } from '../store/store-layout.ts';
import { type Check, type Finding, pass, warn } from './finding.ts';

const need = 'saved memory';

/** Whether what was saved can be brought back by what is kept beside it. A store that is not mounted has nothing to look at. */
export const snapshotChecks: Check = async ({ dataDir }) => {
  const layout = storeLayout(join(dataDir, 'store'));
  const names = (await readdir(layout.snapshots).catch(() => [])).filter((name) => !name.endsWith('.partial'));
  const records: SnapshotRecord[] = [];
  const findings: Finding[] = [];
  for (const name of names) {
    try {
      records.push(parseSnapshotRecord((await readFileIfExists(join(layout.snapshots, name, 'snapshot.json'))) ?? ''));
    } catch {
      findings.push(
        warn(need, `the record of "${name}" is not readable`, 'A later version of Skerry may have written it.'),
      );
    }
  }
  const engines: string[] = await readdir(layout.engines).catch(() => []);
  const lost: string[] = [];
  for (const { snapshotId, memory } of records)
    if (
      memory !== undefined &&
      !(engines.includes(memory.format.build) && (await hasGuest(layout.guests, memory.guestDigest)))
    )
      lost.push(snapshotId);
  if (lost.length > 0)
    findings.push(
      warn(
        need,
        `${lost.length} snapshots need a build of the engine or of the guest that is gone, such as ${lost[0]}`,
        'Their files are whole: start from them with --disk-only.',
      ),
    );
  const withMemory = records.filter(({ memory }) => memory !== undefined);
  const builds = new Set(withMemory.map(({ memory }) => memory?.format.build));
  if (findings.length === 0)
    findings.push(
      pass(
        need,
        records.length === 0
          ? 'none'
          : `${withMemory.length} of ${records.length} snapshots hold memory, of ${builds.size} builds of the engine`,
      ),
    );
  return findings;
};
