import {
  type BootExit,
  type BootId,
  type BootUsage,
  type DiskId,
  type EngineIdentity,
  exitReasons,
  type GuestIdentity,
  type Isolation,
  isolations,
  Problem,
  type SandboxId,
  type SnapshotId,
} from '@skerry/model';
import { idSchema, oneOf } from '@skerry/protocol';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

/** What is asked of a boot. */
export interface BootSpec {
  readonly bootId: BootId;
  readonly sandboxId: SandboxId;
  readonly diskId: DiskId;
  readonly hostname: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly isolation: Isolation | 'any';
  readonly generation: number;
  readonly accessToken: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workdir?: string;
  /** Goes on from the memory of this snapshot. */
  readonly restoreFrom?: SnapshotId;
  readonly restoreAs?: 'resume' | 'fork';
}

/** A snapshot that is being made of a boot, written down before the first step of it. */
export interface BootSaving {
  readonly snapshotId: SnapshotId;
  readonly memory: boolean;
  /** Whether the boot ends once the snapshot is complete. */
  readonly end: boolean;
}

/** What is kept beside a boot, as `boot.json`, written before each step. Format 1; see docs/compatibility.md. */
export interface BootRecord {
  readonly formatVersion: 1;
  readonly spec: BootSpec;
  readonly engine: EngineIdentity;
  /** The guest binary that it was started with, and what that said of itself. */
  readonly guestPath: string;
  readonly guestDigest: string;
  readonly guest?: GuestIdentity;
  /** Secret of the guest's control port. */
  readonly secret: string;
  /** What programs inside compare to know that they are in another life. */
  readonly generationId?: string;
  readonly saving?: BootSaving;
  /** Whether work in it is stopped, with its memory in RAM. */
  readonly frozen?: boolean;
  /** `boot_id` of the host's kernel: another one means that the host went down meanwhile. */
  readonly hostBootId: string;
  readonly lease?: { readonly namespacePath: string; readonly address: string };
  readonly state: 'starting' | 'running' | 'stopping' | 'ended';
  readonly startedAtMs: number;
  readonly stopGraceMs?: number;
  readonly exit?: BootExit;
  readonly usage?: BootUsage;
  /** Whether an ended boot holds nothing of the machine any more. */
  readonly cleaned: boolean;
}

const text = Type.String();
const schema = Compile(
  Type.Object({
    formatVersion: Type.Literal(1),
    spec: Type.Object({
      bootId: idSchema('boot'),
      sandboxId: idSchema('sandbox'),
      diskId: idSchema('disk'),
      hostname: text,
      cpus: Type.Number(),
      memoryMiB: Type.Number(),
      isolation: oneOf([...isolations, 'any']),
      generation: Type.Number(),
      accessToken: text,
      env: Type.Record(text, text),
      user: text,
      workdir: Type.Optional(text),
      restoreFrom: Type.Optional(idSchema('snapshot')),
      restoreAs: Type.Optional(oneOf(['resume', 'fork'])),
    }),
    engine: Type.Object({ name: text, version: text, build: text, isolation: oneOf(isolations) }),
    guestPath: text,
    guestDigest: text,
    guest: Type.Optional(Type.Object({ version: text, digest: text, protocolVersion: Type.Number() })),
    secret: text,
    generationId: Type.Optional(text),
    saving: Type.Optional(
      Type.Object({ snapshotId: idSchema('snapshot'), memory: Type.Boolean(), end: Type.Boolean() }),
    ),
    frozen: Type.Optional(Type.Boolean()),
    hostBootId: text,
    lease: Type.Optional(Type.Object({ namespacePath: text, address: text })),
    state: oneOf(['starting', 'running', 'stopping', 'ended']),
    startedAtMs: Type.Number(),
    stopGraceMs: Type.Optional(Type.Number()),
    exit: Type.Optional(
      Type.Object({
        reason: oneOf(exitReasons),
        status: Type.Optional(Type.Number()),
        detail: text,
        atMs: Type.Number(),
      }),
    ),
    usage: Type.Optional(
      Type.Object({
        cpuMs: Type.Number(),
        memoryPeakBytes: Type.Number(),
        networkInBytes: Type.Number(),
        networkOutBytes: Type.Number(),
      }),
    ),
    cleaned: Type.Boolean(),
  }),
);

export function formatBootRecord(record: BootRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Reads a `boot.json`. Throws `data_loss` when it is none, or of a later format. */
export function parseBootRecord(content: string): BootRecord {
  let document: unknown;
  try {
    document = JSON.parse(content);
  } catch {
    // Judged with everything else that has not the shape.
  }
  // The schema's optional fields admit `undefined`, which JSON has not.
  if (schema.Check(document)) return document as BootRecord;
  throw new Problem('data_loss', 'A boot record is not readable', { reason: 'boot_record_unreadable' });
}
