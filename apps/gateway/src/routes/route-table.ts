import type { ProjectId, SandboxId } from '@skerry/model';
import type { Route } from '@skerry/protocol';

/** Who must know of routes that change. */
export interface RouteListener {
  /** The boot can no longer be reached. */
  gone(route: Route): void;
  /** It rests, or is about to. */
  resting(route: Route): void;
}

/** Where the running sandboxes are, as the server last said. Keeps what it knows while the server is away. */
export class RouteTable {
  readonly #byId = new Map<SandboxId, Route>();
  readonly #byName = new Map<string, SandboxId>();
  readonly #gone = new Map<SandboxId, number>();
  readonly #awaited = new Map<SandboxId, Set<() => void>>();
  readonly #listener: RouteListener;
  #unseen: Set<SandboxId> | undefined;
  #revision = 0;

  constructor(listener: RouteListener) {
    this.#listener = listener;
  }

  /** Counts the sandboxes that went, so that an answer that is older than a `gone` can be told. */
  get revision(): number {
    return this.#revision;
  }

  get(id: SandboxId): Route | undefined {
    return this.#byId.get(id);
  }

  getByName(projectId: ProjectId, name: string): Route | undefined {
    const id = this.#byName.get(nameKey(projectId, name));
    return id === undefined ? undefined : this.#byId.get(id);
  }

  set(route: Route): void {
    const before = this.#byId.get(route.sandboxId);
    this.#unseen?.delete(route.sandboxId);
    if (before !== undefined) this.#forgetName(before);
    this.#byId.set(route.sandboxId, route);
    this.#byName.set(nameKey(route.projectId, route.name), route.sandboxId);
    if (before !== undefined && before.bootId !== route.bootId) this.#listener.gone(before);
    if (route.resting) this.#listener.resting(route);
    for (const seen of this.#awaited.get(route.sandboxId) ?? []) seen();
  }

  delete(id: SandboxId): void {
    this.#revision += 1;
    this.#gone.delete(id);
    this.#gone.set(id, this.#revision);
    const [oldest] = this.#gone.keys();
    if (this.#gone.size > 1000 && oldest !== undefined) this.#gone.delete(oldest);
    const route = this.#byId.get(id);
    if (route === undefined) return;
    this.#byId.delete(id);
    this.#forgetName(route);
    this.#listener.gone(route);
  }

  /** Resolves when a route of this sandbox comes, or after `waitMs`. */
  async appears(id: SandboxId, waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    const waiting = this.#awaited.get(id) ?? new Set();
    this.#awaited.set(id, waiting);
    waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    waiting.delete(resolve);
    if (waiting.size === 0 && this.#awaited.get(id) === waiting) this.#awaited.delete(id);
  }

  /** Whether the sandbox went after this revision. */
  wentSince(id: SandboxId, revision: number): boolean {
    return (this.#gone.get(id) ?? 0) > revision;
  }

  /** A new list begins: what it does not name is gone at its end. */
  beginList(): void {
    this.#unseen = new Set(this.#byId.keys());
  }

  endList(): void {
    const unseen = this.#unseen ?? [];
    this.#unseen = undefined;
    for (const id of unseen) this.delete(id);
  }

  #forgetName(route: Route): void {
    const key = nameKey(route.projectId, route.name);
    if (this.#byName.get(key) === route.sandboxId) this.#byName.delete(key);
  }
}

function nameKey(projectId: ProjectId, name: string): string {
  return `${projectId}/${name}`;
}
