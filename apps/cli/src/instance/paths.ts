import { resolve } from 'node:path';

/** The clone that this program belongs to. */
export const checkout: string = resolve(import.meta.dirname, '../../../..');

/** Data directory: `--data`, `SKERRY_DATA`, or the usual place. */
export function dataDirOf(options: { readonly data?: string }): string {
  const wanted = options.data ?? process.env['SKERRY_DATA'];
  return resolve(wanted === undefined || wanted === '' ? '/var/lib/skerry' : wanted);
}

/** Listen address: `--listen`, `SKERRY_LISTEN`, or as it was. */
export function listenOf(options: { readonly listen?: string }): string | undefined {
  const wanted = options.listen ?? process.env['SKERRY_LISTEN'];
  return wanted === '' ? undefined : wanted;
}
