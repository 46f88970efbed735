import { errorFields, type Log } from '@skerry/kit';
import { type Answer, emptyAnswerTo, encodeForClient, fitToUdp } from './answer.ts';
import { AnswerCache } from './answer-cache.ts';
import type { ClientLimits } from './client-limits.ts';
import { parseQuery, type Query } from './query.ts';
import { recordTypes, responseCodes } from './wire.ts';

const mostCached = 4096;
/** Longest question that is read: a name, a type, a class and some EDNS options. */
const mostQueryBytes = 1232;

/** What answers questions that the cache cannot. */
export interface QuestionAnswerer {
  ask(query: Query): Promise<Answer>;
}

export interface ResolverOptions {
  readonly upstreams: QuestionAnswerer;
  readonly limits: ClientLimits;
  readonly log: Log;
}

/** Answers sandboxes' questions from the machine's name servers, whatever bytes come. */
export class Resolver {
  readonly #upstreams: QuestionAnswerer;
  readonly #limits: ClientLimits;
  readonly #log: Log;
  readonly #cache = new AnswerCache(mostCached);
  readonly #asked = new Map<string, Promise<Answer>>();
  #failedSinceMs: number | undefined;

  constructor(options: ResolverOptions) {
    this.#upstreams = options.upstreams;
    this.#limits = options.limits;
    this.#log = options.log;
  }

  /** The answer to one message of a client; `undefined` when it gets none. Never throws. */
  async answer(message: Buffer, client: string, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    if (message.length > mostQueryBytes || !this.#limits.mayAsk(client)) return undefined;
    const parsed = parseQuery(message);
    if (parsed === undefined) return undefined;
    if ('refusal' in parsed) return parsed.refusal;
    const { query } = parsed;
    // Inside there is no IPv6: an address that cannot be reached would only cost a client time.
    if (query.type === recordTypes.AAAA) return emptyAnswerTo(query, responseCodes.noError);
    const whole = await this.#find(query, client);
    return transport === 'udp' ? fitToUdp(whole, query) : whole;
  }

  async #find(query: Query, client: string): Promise<Buffer> {
    const kept = this.#cache.get(query.key);
    if (kept !== undefined) return encodeForClient(kept.answer, query, kept.ageSeconds);
    using place = this.#limits.wait(client);
    if (place === undefined) return emptyAnswerTo(query, responseCodes.serverFailure);
    try {
      const answer = await this.#ask(query);
      this.#failedSinceMs = undefined;
      return encodeForClient(answer, query, 0);
    } catch (error) {
      this.#noteFailure(error);
      return emptyAnswerTo(query, responseCodes.serverFailure);
    }
  }

  /** Asks once for all clients that want the same at the same time. */
  #ask(query: Query): Promise<Answer> {
    const joined = this.#asked.get(query.key);
    if (joined !== undefined) return joined;
    const asking = this.#upstreams
      .ask(query)
      .then((answer) => {
        this.#cache.keep(query.key, answer);
        return answer;
      })
      .finally(() => this.#asked.delete(query.key));
    this.#asked.set(query.key, asking);
    return asking;
  }

  /** One line when name servers begin to fail, not one a question. */
  #noteFailure(error: unknown): void {
    if (this.#failedSinceMs === undefined) this.#log.warn('no name server answers', errorFields(error));
    this.#failedSinceMs ??= performance.now();
  }
}
