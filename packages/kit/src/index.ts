export * from './atomic-file.ts';
export * from './backoff.ts';
export * from './command.ts';
export * from './fault-point.ts';
export * from './keyed-serial.ts';
export * from './log.ts';
export * from './units.ts';
