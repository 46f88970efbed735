/** What a client of the public API needs at run time, without the schemas: loading those takes half a second. */
export { type ProblemCode, type ProblemDocument, problemClasses } from '@skerry/model';
export * from './envd/filesystem.ts';
export * from './envd/frames.ts';
export * from './envd/process.ts';
export * from './envd/signals.ts';
