/** Collects times and prints them as p50, p95 and p99 beside a reference of the same run. */
import { writeFile } from 'node:fs/promises';

export interface Row {
  readonly what: string;
  readonly n: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly reference: string;
  /** p50 divided by the p50 of the reference. */
  readonly ratio: number | undefined;
}

export class Figures {
  readonly #times = new Map<string, number[]>();

  /** Times one run of `work`, in `ms`, under a name. */
  async time<T>(what: string, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    this.add(what, performance.now() - start);
    return result;
  }

  add(what: string, ms: number): void {
    const times = this.#times.get(what) ?? [];
    times.push(ms);
    this.#times.set(what, times);
  }

  /** Rows in the order given: name and name of the reference. */
  rows(order: readonly (readonly [what: string, reference?: string])[]): Row[] {
    return order.map(([what, reference]) => {
      const p50 = this.#percentile(what, 0.5);
      return {
        what,
        n: this.#times.get(what)?.length ?? 0,
        p50,
        p95: this.#percentile(what, 0.95),
        p99: this.#percentile(what, 0.99),
        reference: reference ?? '',
        ratio: reference === undefined ? undefined : p50 / this.#percentile(reference, 0.5),
      };
    });
  }

  #percentile(what: string, part: number): number {
    const sorted = (this.#times.get(what) ?? []).toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  }
}

/** Prints rows as a table and writes them as JSON to `path`. */
export async function report(rows: readonly Row[], path: string): Promise<void> {
  const ms = (value: number): string => value.toFixed(1).padStart(9);
  console.log(
    `${'what'.padEnd(52)}${'n'.padStart(5)}${'p50 ms'.padStart(10)}${'p95'.padStart(10)}${'p99'.padStart(10)}  ratio`,
  );
  for (const row of rows)
    console.log(
      `${row.what.padEnd(52)}${String(row.n).padStart(5)} ${ms(row.p50)} ${ms(row.p95)} ${ms(row.p99)}  ${row.ratio === undefined ? '' : `${row.ratio.toFixed(2)} × ${row.reference}`}`,
    );
  await writeFile(path, `${JSON.stringify(rows, null, 2)}\n`);
  console.log(`written to ${path}`);
}
