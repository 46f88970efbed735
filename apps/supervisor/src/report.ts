import type { RecoverAnswer, RestAnswer } from '@skerry/protocol';

/** What the supervisor tells whoever started it: one JSON line an event on standard output. */
export type SupervisorEvent =
  | { readonly event: 'starting'; readonly program: string }
  | {
      readonly event: 'ready';
      readonly url: string;
      readonly instance: string;
      readonly pid: number;
      readonly dataDir: string;
      readonly tookMs: number;
    }
  | { readonly event: 'already_running'; readonly dataDir: string }
  | { readonly event: 'died'; readonly program: string; readonly how: string; readonly againInMs: number }
  | { readonly event: 'serves'; readonly program: string; readonly pid: number }
  | { readonly event: 'resting' }
  | ({ readonly event: 'rested' } & RestAnswer)
  /** `aside`: where the database is that was there before. */
  | ({ readonly event: 'recovered'; readonly aside?: string } & RecoverAnswer)
  | {
      readonly event: 'failed';
      readonly code: string;
      readonly reason: string;
      readonly message: string;
      readonly hint?: string;
    }
  | { readonly event: 'down'; readonly hard: boolean };

export type Report = (event: SupervisorEvent) => void;

/** Writes events to standard output; a reader that went away is no error. */
export function reportToStdout(): Report {
  process.stdout.on('error', () => undefined);
  return (event) => void process.stdout.write(`${JSON.stringify(event)}\n`);
}
