import { readFileSync, rmSync } from 'node:fs';

/** The environment variable that names the file by which a test arms one point: its content is the point's name. */
export const faultVariable = 'SKERRY_FAULT_FILE';
const file = process.env[faultVariable];

/**
 * A place where a test may kill this process: with `SKERRY_FAULT_FILE` naming a file that holds `name`, the file is removed and the process ends by
 * SIGKILL, once. Without that variable it does nothing and costs nothing.
 */
export function faultPoint(name: string): void {
  if (file === undefined) return;
  let wanted: string;
  try {
    wanted = readFileSync(file, 'utf8').trim();
  } catch {
    return; // No fault is wanted now.
  }
  if (wanted !== name) return;
  rmSync(file, { force: true });
  process.kill(process.pid, 'SIGKILL');
  // The signal may take an instant to arrive: nothing of the next step may run.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
}
