import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFields, type Log } from '@skerry/kit';
import { type BootRecord, formatBootRecord } from './boot-record.ts';

/** The record of one boot, in memory and as `boot.json` of its directory. */
export class BootFile {
  readonly directory: string;
  readonly #log: Log;
  /** What the daemon goes by; written down by `save`. */
  record: BootRecord;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(directory: string, record: BootRecord, log: Log) {
    this.directory = directory;
    this.record = record;
    this.#log = log;
  }

  /** Changes fields and writes the record whole. It need not survive power loss: a boot does not either. */
  async save(change: Partial<BootRecord> = {}): Promise<void> {
    this.record = { ...this.record, ...change };
    await this.write(this.record);
  }

  /** Writes a record that the daemon does not go by yet. */
  async write(record: BootRecord): Promise<void> {
    const path = join(this.directory, 'boot.json');
    const writing = this.#tail.then(async () => {
      await writeFile(`${path}.tmp`, formatBootRecord(record), { mode: 0o600 });
      await rename(`${path}.tmp`, path);
    });
    this.#tail = writing.catch(() => undefined);
    await writing;
  }

  /** Writes a record if that is possible. A store without room must not keep anything from ending: what is lost is the reason. */
  async tryWrite(record: BootRecord): Promise<void> {
    try {
      await this.write(record);
    } catch (error) {
      this.#log.error('A boot record cannot be written', errorFields(error));
    }
  }
}

/** A record without its note of a snapshot in the making. */
export function withoutSaving(record: BootRecord): BootRecord {
  const { saving: _, ...rest } = record;
  return rest;
}
