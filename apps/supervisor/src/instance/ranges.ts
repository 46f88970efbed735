import { Problem } from '@skerry/model';

const firstUid = 50_000;
const uidsEach = 4;
const uidBlocks = 2_500;
const firstSubnet = 10 * 2 ** 24 + 200 * 2 ** 16;
const subnetSize = 4096;
const subnets = 128;

/** First of four free numeric users below 65,536 (so that they exist in a user namespace of the usual size, too). */
export function chooseUidBase(seed: number, accounts: ReadonlySet<number>, takenBases: readonly number[]): number {
  for (let n = 0; n < uidBlocks; n++) {
    const base = firstUid + ((seed + n) % uidBlocks) * uidsEach;
    const free = [0, 1, 2, 3].every((offset) => !accounts.has(base + offset));
    if (free && !takenBases.includes(base)) return base;
  }
  throw new Problem('exhausted', 'No four numeric users in a row are free from 50000 to 59999', {
    exhaustion: 'capacity',
  });
}

/** A `/20` of 10.200.0.0/13 that overlaps none of the given ranges (`a.b.c.d/n` or lone addresses). */
export function chooseSubnet(seed: number, taken: readonly string[]): string {
  const ranges = taken.map(parseRange).filter((range) => range !== undefined);
  for (let n = 0; n < subnets; n++) {
    const first = firstSubnet + ((seed + n) % subnets) * subnetSize;
    const last = first + subnetSize - 1;
    if (ranges.every((range) => range.last < first || range.first > last)) return `${formatAddress(first)}/20`;
  }
  throw new Problem('exhausted', 'All of 10.200.0.0/13 is routed elsewhere on this machine', {
    exhaustion: 'capacity',
  });
}

/** The instance's own address: the first after the network's. */
export function ownAddress(subnet: string): string {
  const range = parseRange(subnet);
  if (range === undefined) throw new Problem('invalid', `"${subnet}" is no subnet`);
  return formatAddress(range.first + 1);
}

function parseRange(text: string): { first: number; last: number } | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, length = 32] = match
    .slice(1)
    .map((part) => (part === undefined ? undefined : Number(part)));
  if (length === 0) return undefined;
  const size = 2 ** (32 - length);
  const first = Math.floor((((a * 256 + b) * 256 + c) * 256 + d) / size) * size;
  return { first, last: first + size - 1 };
}

function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}
