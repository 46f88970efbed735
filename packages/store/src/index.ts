export type { Page } from './cursor.ts';
export type { BootRecord } from './nouns/boots.ts';
export type { EventRecord, NewEvent } from './nouns/events.ts';
export type { KeyRecord } from './nouns/keys.ts';
export type { SandboxPatch } from './nouns/sandboxes.ts';
export type { SnapshotFilter, SnapshotPatch } from './nouns/snapshots.ts';
export { type SandboxRecord, type StoredFailure, statusOf } from './sandbox-record.ts';
export type { SnapshotRecord, SavedSpec } from './snapshot-record.ts';
export { openStore, type Store, type StoreLocation, type StoreNouns } from './store.ts';
