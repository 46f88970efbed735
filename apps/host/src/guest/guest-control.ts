/** The privileged port of a guest, which only the host daemon reaches: JSON over HTTP, guarded by the boot's secret. */
import { Agent, request } from 'node:http';
import { Problem } from '@skerry/model';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';

export const guestControlPort = 49982;
const protocolVersion = 1;

export interface GuestAddress {
  readonly address: string;
  readonly secret: string;
}

/** What a guest is told before it serves anybody. */
export interface GuestSetup {
  readonly bootId: string;
  readonly sandboxId: string;
  readonly generation: number;
  readonly accessToken: string;
  readonly hostname: string;
  readonly defaultUser: string;
  readonly defaultWorkdir?: string;
  readonly env: Readonly<Record<string, string>>;
  /** PEM text of certificate authorities to trust besides its own. */
  readonly caBundle?: string;
  /** 32 hex digits, new at every boot and every restore: what a program compares to know that time has passed it by. */
  readonly generationId: string;
  /** Only after a restore. `fork`: as another sandbox than the one that was saved. */
  readonly restored?: { readonly as: 'resume' | 'fork'; readonly savedAtUnixMs: number };
}

/** What a guest is told before its memory is saved. */
export interface GuestSuspend {
  /** `pause`: the boot ends after it · `snapshot`: it goes on, and clients should notice nothing but a short wait. */
  readonly for: 'pause' | 'snapshot';
  /** How long its own hooks may take together, in `ms`. */
  readonly hooksDeadlineMs: number;
}

/** A hook that a guest ran. */
export interface GuestHook {
  readonly path: string;
  /** Absent when it was killed at the deadline. */
  readonly exitCode?: number;
  readonly durationMs: number;
  /** The last 2 KiB of what it printed. */
  readonly output: string;
}

export interface GuestAnswer {
  readonly guestVersion: string;
  readonly protocolVersion: number;
  /** The hooks that ran before it answered. */
  readonly hooks?: readonly GuestHook[];
}

const hooks = Type.Optional(
  Type.Array(
    Type.Object({
      path: Type.String(),
      exitCode: Type.Optional(Type.Integer()),
      durationMs: Type.Number(),
      output: Type.String(),
    }),
  ),
);
const answerSchema = Compile(
  Type.Object({ guestVersion: Type.String({ maxLength: 200 }), protocolVersion: Type.Integer(), hooks }),
);
const hooksSchema = Compile(Type.Object({ hooks }));
const maxAnswerBytes = 64 * 1024;
/** A guest that is booting drops what comes too early, and the kernel's own retry would come a second later. */
const firstConnectMs = 40;
const mostConnectMs = 1000;
const firstPauseMs = 5;
const mostPauseMs = 100;
const callDeadlineMs = 10_000;
/** A restored guest runs hooks of the sandbox before it answers. */
const restoredCallDeadlineMs = 30_000;
/** How long a guest may take beyond its hooks until it holds everything back and has synced. */
const suspendDeadlineMs = 30_000;

/** Asks again and again until the guest is up and has been set up. The signal ends it. */
export async function initialiseGuest(
  guest: GuestAddress,
  setup: GuestSetup,
  signal: AbortSignal,
): Promise<GuestAnswer> {
  let connectMs = firstConnectMs;
  let pauseMs = firstPauseMs;
  for (;;) {
    signal.throwIfAborted();
    try {
      const body = { protocolVersion, timeUnixMs: Date.now(), ...setup };
      const deadlineMs = setup.restored === undefined ? callDeadlineMs : restoredCallDeadlineMs;
      const answer = await callGuest(guest, 'POST', '/init', { body, connectMs, deadlineMs, signal });
      // The schema's optional fields admit `undefined`, which JSON has not.
      if (answerSchema.Check(answer)) return answer as GuestAnswer;
      throw new Problem('unavailable', 'The guest answered with something else than its version', {
        reason: 'guest_protocol',
      });
    } catch (error) {
      if (!(error instanceof Problem) || error.reason !== 'guest_unreachable') throw error;
    }
    await pause(pauseMs, signal);
    connectMs = Math.min(mostConnectMs, connectMs * 1.3);
    pauseMs = Math.min(mostPauseMs, pauseMs * 1.2);
  }
}

/** Asks the guest to hold all requests back and to sync, so that it can be saved. Gives back the hooks that ran. Throws when it does not. */
export async function suspendGuest(
  guest: GuestAddress,
  suspend: GuestSuspend,
  signal: AbortSignal,
): Promise<readonly GuestHook[]> {
  const answer = await callGuest(guest, 'POST', '/suspend', {
    body: suspend,
    connectMs: 5000,
    deadlineMs: suspend.hooksDeadlineMs + suspendDeadlineMs,
    signal,
  });
  // The schema's optional fields admit `undefined`, which JSON has not.
  return hooksSchema.Check(answer) ? ((answer as { hooks?: readonly GuestHook[] }).hooks ?? []) : [];
}

/** Lets a guest that holds requests back serve them again. Asks until it answers; the signal ends it. */
export async function resumeGuest(guest: GuestAddress, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      await callGuest(guest, 'POST', '/resume', {
        body: {},
        connectMs: mostConnectMs,
        deadlineMs: callDeadlineMs,
        signal,
      });
      return;
    } catch (error) {
      if (!(error instanceof Problem) || error.reason !== 'guest_unreachable') throw error;
    }
    await pause(mostPauseMs, signal);
  }
}

/** Asks the guest to end all that runs in it, then itself. Throws when it does not answer. */
export async function shutDownGuest(guest: GuestAddress, graceMs: number, signal: AbortSignal): Promise<void> {
  await callGuest(guest, 'POST', '/shutdown', {
    body: { graceMs },
    connectMs: 2000,
    deadlineMs: graceMs + 5000,
    signal,
  });
}

interface GuestCall {
  readonly body: unknown;
  readonly connectMs: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** One call on a connection of its own. `guest_unreachable`: nothing listens, or it went away before it answered. */
function callGuest(guest: GuestAddress, method: string, path: string, call: GuestCall): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const unreachable = (why: string, cause?: unknown): void =>
      reject(new Problem('unavailable', `The guest does not answer: ${why}`, { reason: 'guest_unreachable', cause }));
    const payload = JSON.stringify(call.body);
    const agent = new Agent({ maxSockets: 1 });
    const outgoing = request({
      agent,
      host: guest.address,
      port: guestControlPort,
      method,
      path,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(payload),
        'x-skerry-boot-secret': guest.secret,
        connection: 'close',
      },
      signal: call.signal,
    });
    const connecting = setTimeout(
      () => outgoing.destroy(new Error(`no connection within ${Math.round(call.connectMs)} ms`)),
      call.connectMs,
    );
    const deadline = setTimeout(
      () => outgoing.destroy(new Error(`no answer within ${call.deadlineMs} ms`)),
      call.deadlineMs,
    );
    outgoing.once('socket', (socket) => socket.once('connect', () => clearTimeout(connecting)));
    outgoing.once('close', () => {
      clearTimeout(connecting);
      clearTimeout(deadline);
      agent.destroy();
      // After an answer or an error this changes nothing.
      unreachable('the connection was closed');
    });
    outgoing.once('error', (error) => {
      if (call.signal.aborted) reject(Problem.from(call.signal.reason));
      else unreachable(error.message, error);
    });
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxAnswerBytes) outgoing.destroy(new Error('the answer is too large'));
        else chunks.push(chunk);
      });
      response.once('error', (error) => unreachable(error.message, error));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode !== 200)
          return reject(
            new Problem('unavailable', `The guest refused "${path}" with status ${response.statusCode}`, {
              reason: 'guest_refused',
              context: { answer: text.slice(0, 500) },
            }),
          );
        try {
          resolve(text === '' ? {} : (JSON.parse(text) as unknown));
        } catch (cause) {
          reject(
            new Problem('unavailable', 'The guest answered with something else than JSON', {
              reason: 'guest_protocol',
              cause,
            }),
          );
        }
      });
    });
    outgoing.end(payload);
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(Problem.from(signal.reason));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
