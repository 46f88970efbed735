import { Problem } from '@skerry/model';
import { gatewayPaths, type JsonClient, type ResolveAnswer, type ResolveRequest, type Route } from '@skerry/protocol';
import { callTwice } from './call-twice.ts';

interface Asking {
  readonly answer: Promise<Route>;
  readonly abort: AbortController;
  /** What was known when the server was asked. */
  readonly revision: number;
  waiting: number;
}

/** Asks the server where a sandbox is. Many who ask the same at once share one call; it is given up when the last of them goes away. */
export class SharedResolve {
  readonly #client: JsonClient;
  readonly #asking = new Map<string, Asking>();

  constructor(client: JsonClient) {
    this.#client = client;
  }

  /** Joins a call only when it was begun at this revision: an older one may have been answered before what its asker knows. */
  async ask(request: ResolveRequest, revision: number, signal: AbortSignal): Promise<Route> {
    signal.throwIfAborted();
    const key = `${request.by} ${request.projectId ?? ''} ${request.sandbox}`;
    let asking = this.#asking.get(key);
    if (asking === undefined || asking.revision !== revision) {
      asking = this.#begin(request, revision, key);
      this.#asking.set(key, asking);
    }
    const joined = asking;
    joined.waiting += 1;
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(Problem.from(signal.reason));
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([joined.answer, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      joined.waiting -= 1;
      if (joined.waiting === 0) {
        joined.abort.abort(new Problem('cancelled', 'Nobody waits for the sandbox any more'));
        if (this.#asking.get(key) === joined) this.#asking.delete(key);
      }
    }
  }

  #begin(request: ResolveRequest, revision: number, key: string): Asking {
    const abort = new AbortController();
    const answer = callTwice(this.#client, gatewayPaths.resolve, request, abort.signal).then(
      (answered) => (answered as ResolveAnswer).route,
    );
    const asking: Asking = { answer, abort, revision, waiting: 0 };
    const over = (): void => {
      if (this.#asking.get(key) === asking) this.#asking.delete(key);
    };
    answer.then(over, over);
    return asking;
  }
}
