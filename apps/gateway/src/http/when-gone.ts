import type { ServerResponse } from 'node:http';
import { Problem } from '@skerry/model';

/** A signal that aborts when the client goes away before its answer is whole. */
export function whenGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort(new Problem('cancelled', 'The client went away'));
  });
  return gone.signal;
}
