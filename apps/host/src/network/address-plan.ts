import { Problem } from '@skerry/model';

/** An IPv4 range; both ends belong to it. Addresses are unsigned 32-bit numbers. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

/** What every sandbox sees inside, whatever its unique address is. Part of every memory image: it never changes. */
export const inside = {
  address: '172.31.255.2',
  prefixLength: 30,
  gateway: '172.31.255.1',
  mac: '02:5c:e7:00:00:02',
  gatewayMac: '02:5c:e7:00:00:01',
} as const;

/** Reads a dotted IPv4 address; `undefined` when the text is none. */
export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (const part of match.slice(1)) {
    const byte = Number(part);
    if (byte > 255) return undefined;
    value = value * 256 + byte;
  }
  return value;
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
}

/** Reads `a.b.c.d/n` or a lone address; `undefined` when the text is neither. */
export function parseRange(text: string): AddressRange | undefined {
  const [addressText = '', lengthText = '32', ...rest] = text.split('/');
  const address = parseAddress(addressText);
  if (address === undefined || rest.length > 0 || !/^\d{1,2}$/.test(lengthText)) return undefined;
  const length = Number(lengthText);
  if (length > 32) return undefined;
  const size = 2 ** (32 - length);
  const first = address - (address % size);
  return { first, last: first + size - 1 };
}

export function overlaps(one: AddressRange, other: AddressRange): boolean {
  return one.first <= other.last && other.first <= one.last;
}

/** Longest link name of the kernel is 15 characters: `sk`, six of the instance, `v`, and this many digits. */
const mostSlots = 999_999;

/** The names and addresses of one instance: slot `n` of `1 … slots` stands for one namespace, link and unique address. */
export class AddressPlan {
  readonly instance: string;
  readonly subnet: string;
  readonly range: AddressRange;
  /** The instance's own address: source of what the host sends to sandboxes, and where their DNS is answered. */
  readonly ownAddress: string;
  readonly slots: number;

  constructor(instance: string, subnet: string) {
    const range = parseRange(subnet);
    if (range === undefined || range.last - range.first < 7) {
      throw new Problem('invalid', `The sandbox subnet "${subnet}" is no IPv4 range of at least 8 addresses`, {
        reason: 'subnet_invalid',
        hint: 'Give a range such as 10.201.16.0/20.',
      });
    }
    if (!/^[a-z0-9]{6}$/.test(instance)) {
      throw new Problem('invalid', `The instance "${instance}" is not six characters of [a-z0-9]`);
    }
    this.instance = instance;
    this.range = range;
    this.subnet = `${formatAddress(range.first)}/${32 - Math.log2(range.last - range.first + 1)}`;
    this.ownAddress = formatAddress(range.first + 1);
    this.slots = Math.min(mostSlots, range.last - range.first - 2);
  }

  get linkPrefix(): string {
    return `sk${this.instance}v`;
  }

  get namespacePrefix(): string {
    return `sk${this.instance}-`;
  }

  /** Name of this instance's two nftables tables, `inet` and `netdev`. */
  get tableName(): string {
    return `skerry_${this.instance}`;
  }

  address(slot: number): string {
    return formatAddress(this.range.first + 1 + slot);
  }

  link(slot: number): string {
    return `${this.linkPrefix}${slot}`;
  }

  namespace(slot: number): string {
    return `${this.namespacePrefix}${slot}`;
  }

  namespacePath(slot: number): string {
    return `/run/netns/${this.namespace(slot)}`;
  }

  /** The slot that a link or namespace name of this instance stands for. */
  slotOf(name: string): number | undefined {
    const prefix = [this.linkPrefix, this.namespacePrefix].find((candidate) => name.startsWith(candidate));
    if (prefix === undefined || !/^[1-9]\d{0,5}$/.test(name.slice(prefix.length))) return undefined;
    return Number(name.slice(prefix.length));
  }
}

/** Says whether a link belongs to a sandbox of any instance on this machine. */
export function isSandboxLink(name: string): boolean {
  return /^sk[a-z0-9]{6}v\d{1,6}$/.test(name);
}
