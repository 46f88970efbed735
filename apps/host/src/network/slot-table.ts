import type { BootId } from '@skerry/model';

/** Who holds which slot. A slot that was given back is taken again as late as possible, after all others. */
export class SlotTable {
  readonly #count: number;
  readonly #owners = new Map<number, BootId>();
  readonly #boots = new Map<BootId, number>();
  /** Slots that are not free, owned or not. */
  readonly #known = new Set<number>();
  readonly #making = new Set<number>();
  /** When a slot was first seen without an owner, in `ms` of the monotonic clock. */
  readonly #unownedSince = new Map<number, number>();
  #next: number;

  constructor(count: number) {
    this.#count = count;
    // A new daemon does not begin where the last one began: late replies to an earlier owner of an address would reach a new one.
    this.#next = 1 + Math.floor(Math.random() * count);
  }

  /** Notes a slot that the kernel was found to hold. */
  find(slot: number): void {
    this.#known.add(slot);
    this.#unownedSince.set(slot, performance.now());
  }

  /** Takes up to `count` free slots for making. */
  reserve(count: number): number[] {
    const slots: number[] = [];
    for (let tries = 0; tries < this.#count && slots.length < count; tries += 1) {
      const slot = this.#next;
      this.#next = slot >= this.#count ? 1 : slot + 1;
      if (this.#known.has(slot)) continue;
      this.#known.add(slot);
      this.#making.add(slot);
      slots.push(slot);
    }
    return slots;
  }

  made(slots: readonly number[]): void {
    for (const slot of slots) this.#making.delete(slot);
  }

  making(slot: number): boolean {
    return this.#making.has(slot);
  }

  hold(slot: number, bootId: BootId): void {
    this.#known.add(slot);
    this.#owners.set(slot, bootId);
    this.#boots.set(bootId, slot);
    this.#unownedSince.delete(slot);
  }

  held(bootId: BootId): number | undefined {
    return this.#boots.get(bootId);
  }

  owner(slot: number): BootId | undefined {
    return this.#owners.get(slot);
  }

  free(slot: number): void {
    const owner = this.#owners.get(slot);
    if (owner !== undefined) this.#boots.delete(owner);
    this.#owners.delete(slot);
    this.#known.delete(slot);
    this.#making.delete(slot);
    this.#unownedSince.delete(slot);
  }

  known(): number[] {
    return [...this.#known];
  }

  /** For each of these slots, which nobody owns, how long that has been so in `ms`. */
  unowned(slots: ReadonlySet<number>): Map<number, number> {
    const now = performance.now();
    for (const slot of this.#unownedSince.keys()) if (!slots.has(slot)) this.#unownedSince.delete(slot);
    return new Map(
      [...slots].map((slot) => {
        const since = this.#unownedSince.get(slot) ?? now;
        this.#unownedSince.set(slot, since);
        return [slot, Math.round(now - since)];
      }),
    );
  }

  clear(): void {
    this.#owners.clear();
    this.#boots.clear();
    this.#known.clear();
    this.#making.clear();
    this.#unownedSince.clear();
  }
}
