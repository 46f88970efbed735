export * from './boot.ts';
export * from './disk.ts';
export * from './id.ts';
export * from './name.ts';
export * from './problem.ts';
export * from './resources.ts';
export * from './sandbox.ts';
export * from './snapshot.ts';
