/** Bounds on what clients may ask of the resolver. */
export interface Limits {
  /** Questions a second that one client may ask on and on. */
  readonly rate: number;
  /** Questions that one client may ask at once after a pause. */
  readonly burst: number;
  /** Questions of one client that may wait for an upstream. */
  readonly waitingPerClient: number;
  /** Questions of all clients that may wait for an upstream. */
  readonly waiting: number;
  /** TCP connections of one client. */
  readonly connectionsPerClient: number;
  /** TCP connections of all clients. */
  readonly connections: number;
}

export const defaultLimits: Limits = {
  rate: 500,
  burst: 2000,
  waitingPerClient: 32,
  waiting: 1024,
  connectionsPerClient: 8,
  connections: 512,
};

interface Client {
  tokens: number;
  atMs: number;
  waiting: number;
  connections: number;
}

/** Keeps each client to its share, so that a hostile one takes nothing from the others. */
export class ClientLimits {
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #clients = new Map<string, Client>();
  #waiting = 0;
  #connections = 0;
  #sweptAtMs = 0;

  /** `now` gives monotonic `ms`. */
  constructor(limits: Limits = defaultLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Says whether a client may ask one more question now, and counts it. */
  mayAsk(address: string): boolean {
    const client = this.#client(address);
    if (client.tokens < 1) return false;
    client.tokens -= 1;
    return true;
  }

  /** Takes a place among the questions that wait for an upstream; `undefined` when there is none. */
  wait(address: string): Disposable | undefined {
    const client = this.#client(address);
    if (client.waiting >= this.#limits.waitingPerClient || this.#waiting >= this.#limits.waiting) return undefined;
    client.waiting += 1;
    this.#waiting += 1;
    return this.#once(() => {
      client.waiting -= 1;
      this.#waiting -= 1;
    });
  }

  /** Takes a place among the TCP connections; `undefined` when there is none. */
  connect(address: string): Disposable | undefined {
    const client = this.#client(address);
    if (client.connections >= this.#limits.connectionsPerClient || this.#connections >= this.#limits.connections) {
      return undefined;
    }
    client.connections += 1;
    this.#connections += 1;
    return this.#once(() => {
      client.connections -= 1;
      this.#connections -= 1;
    });
  }

  #once(giveBack: () => void): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) giveBack();
        held = false;
      },
    };
  }

  #client(address: string): Client {
    const now = this.#now();
    this.#sweep(now);
    const client = this.#clients.get(address) ?? { tokens: this.#limits.burst, atMs: now, waiting: 0, connections: 0 };
    client.tokens = Math.min(this.#limits.burst, client.tokens + ((now - client.atMs) / 1000) * this.#limits.rate);
    client.atMs = now;
    this.#clients.set(address, client);
    return client;
  }

  /** Forgets clients that hold nothing and whose share is whole again. */
  #sweep(now: number): void {
    const wholeAfterMs = (this.#limits.burst / this.#limits.rate) * 1000;
    if (now - this.#sweptAtMs < wholeAfterMs) return;
    this.#sweptAtMs = now;
    for (const [address, client] of this.#clients) {
      const idle = client.waiting === 0 && client.connections === 0 && now - client.atMs >= wholeAfterMs;
      if (idle) this.#clients.delete(address);
    }
  }
}
