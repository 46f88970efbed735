import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '@skerry/kit';
import { Problem } from '@skerry/model';
import { answerProblem } from '../http/answers.ts';
import { clientFacts } from '../http/client-facts.ts';
import { forwardRequestHeaders } from '../http/headers.ts';
import { PatientAgent } from '../http/patient-agent.ts';
import { relay } from '../http/relay.ts';
import { serverUnavailable } from '../routes/call-twice.ts';

/** Passes requests to the server's public API. */
export class ApiDoor implements Disposable {
  readonly #socketPath: string;
  readonly #agent: PatientAgent = new PatientAgent({ keepAlive: true, maxFreeSockets: 64 });
  readonly #log: Log;

  constructor(socketPath: string, log: Log) {
    this.#socketPath = socketPath;
    this.#log = log;
  }

  pass(request: IncomingMessage, response: ServerResponse): void {
    relay({
      request,
      response,
      to: { agent: this.#agent, socketPath: this.#socketPath },
      headers: forwardRequestHeaders(request, clientFacts(request), () => false),
      onFailure: ({ kind, cause }) => {
        const lost = new Problem('unavailable', 'The Skerry server went away before it answered', {
          reason: 'server_unavailable',
          hint: 'Look whether the call took effect, or repeat it with the same "Idempotency-Key".',
          cause,
        });
        answerProblem(request, response, kind === 'lost' ? lost : serverUnavailable(cause), this.#log);
      },
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
