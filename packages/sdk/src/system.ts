import type { GarbageList, System, Template } from '@skerry/protocol';
import type { Transport } from './transport.ts';

/** What runs, what there is to make sandboxes from, and what nobody owns. */
export class SystemCalls {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async get(signal?: AbortSignal): Promise<System> {
    return this.#transport.json('GET', '/v1/system', { signal });
  }

  async templates(signal?: AbortSignal): Promise<Template[]> {
    return (await this.#transport.json<{ items: Template[] }>('GET', '/v1/templates', { signal })).items;
  }

  async garbage(signal?: AbortSignal): Promise<GarbageList['items']> {
    return (await this.#transport.json<GarbageList>('GET', '/v1/garbage', { signal })).items;
  }

  /** Removes what nobody has owned for `minAgeMs`, and gives back what that was. */
  async collectGarbage(minAgeMs: number, signal?: AbortSignal): Promise<GarbageList['items']> {
    const answer = await this.#transport.json<GarbageList>('POST', '/v1/garbage/collect', {
      body: { minAgeMs },
      signal,
    });
    return answer.items;
  }
}
