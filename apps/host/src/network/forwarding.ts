import { readFile, writeFile } from 'node:fs/promises';
import { runCommand, tryCommand } from '@skerry/kit';
import { type AddressPlan, isSandboxLink } from './address-plan.ts';
import { machineRoutes } from './collision.ts';
import { applyRules } from './kernel.ts';
import { setKernelSetting } from './namespaces.ts';

const globalSetting = '/proc/sys/net/ipv4/ip_forward';

/**
 * Lets packets through between sandboxes and the machine's other links. A machine that forwards already is left alone. On one that does not,
 * forwarding is turned on for the links that have routes, not for the machine; the set `forwarding` of the instance's table names them, which
 * at once keeps strangers from using the machine as a router, and says after a crash what is to be put back.
 */
export class Forwarding {
  readonly #plan: AddressPlan;

  constructor(plan: AddressPlan) {
    this.#plan = plan;
  }

  /** Devices that an instance's table names as turned on by Skerry; none when the table is not there. */
  async #named(table: string): Promise<string[]> {
    const result = await tryCommand('nft', ['-j', 'list', 'set', 'inet', table, 'forwarding']);
    if (result.status !== 0) return [];
    const { nftables } = JSON.parse(result.stdout) as { nftables?: { set?: { elem?: unknown[] } }[] };
    return (nftables ?? []).flatMap(({ set }) => set?.elem ?? []).filter((device) => typeof device === 'string');
  }

  async #namedByOthers(): Promise<Set<string>> {
    const listing = await runCommand('nft', ['list', 'tables', 'inet']);
    const tables = [...listing.matchAll(/^table inet (skerry_[a-z0-9]{6})$/gm)].flatMap(([, table]) => table ?? []);
    const named = await Promise.all(
      tables.filter((table) => table !== this.#plan.tableName).map((t) => this.#named(t)),
    );
    return new Set(named.flat());
  }

  async #isOn(device: string): Promise<boolean> {
    try {
      return (await readFile(`/proc/sys/net/ipv4/conf/${device}/forwarding`, 'utf8')).trim() === '1';
    } catch {
      return false;
    }
  }

  async #machineForwards(): Promise<boolean> {
    return (await readFile(globalSetting, 'utf8')).trim() === '1';
  }

  /** Devices that must be named in the table: those that need forwarding and had it off before Skerry. */
  async wanted(): Promise<string[]> {
    if (await this.#machineForwards()) return [];
    const routed = new Set((await machineRoutes('main')).map(({ device }) => device));
    const devices = [...routed].filter((device) => device !== '' && device !== 'lo' && !isSandboxLink(device));
    const own = new Set(await this.#named(this.#plan.tableName));
    const others = await this.#namedByOthers();
    const chosen: string[] = [];
    for (const device of devices) {
      if (own.has(device) || others.has(device) || !(await this.#isOn(device))) chosen.push(device);
    }
    return chosen.sort();
  }

  /** Turns forwarding on for devices that the table names already. */
  async turnOn(devices: readonly string[], sandboxLinks: readonly string[]): Promise<void> {
    for (const device of [...devices, ...sandboxLinks]) {
      if (!(await this.#isOn(device))) await setKernelSetting(`net/ipv4/conf/${device}/forwarding`, '1');
    }
  }

  /** Follows changes of the machine: new links with routes, a forwarding that somebody else turned on or off. Returns the devices named now. */
  async follow(before: readonly string[], sandboxLinks: readonly string[]): Promise<string[]> {
    const devices = await this.wanted();
    if (devices.join() !== before.join()) {
      const named = devices.map((device) => `"${device}"`).join(', ');
      const set = `inet ${this.#plan.tableName} forwarding`;
      await applyRules(`flush set ${set}\n${named === '' ? '' : `add element ${set} { ${named} }\n`}`);
    }
    const first = [...devices, ...sandboxLinks.slice(0, 1)];
    const lost = await Promise.all(first.map(async (device) => !(await this.#isOn(device))));
    if (lost.includes(true)) await this.turnOn(devices, sandboxLinks);
    return devices;
  }

  /** Turns off what this instance turned on, unless another instance still needs it or the machine forwards by now. Before the table goes. */
  async putBack(): Promise<void> {
    const own = await this.#named(this.#plan.tableName);
    if (own.length === 0 || (await this.#machineForwards())) return;
    const others = await this.#namedByOthers();
    for (const device of own) {
      if (!others.has(device))
        await writeFile(`/proc/sys/net/ipv4/conf/${device}/forwarding`, '0').catch(() => undefined);
    }
  }
}
