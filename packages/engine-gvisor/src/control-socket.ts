import { connect } from 'node:net';

/** The sandbox closed its control socket without an answer: it has ended, or never listened. */
export class SandboxGone extends Error {
  override readonly name = 'SandboxGone';
}

/**
 * Calls a method of a sandbox on its control socket: one JSON document there, one back (gVisor's `urpc`), one connection a call. The
 * answer may take as long as the boot lives. Throws `SandboxGone` when the connection ends before it, and the sandbox's own words when it refuses.
 */
export function callSandbox(
  socketPath: string,
  method: string,
  argument: unknown,
  signal?: AbortSignal,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const received: Buffer[] = [];
    const settle = (outcome: () => void): void => {
      signal?.removeEventListener('abort', abort);
      socket.destroy();
      outcome();
    };
    const abort = (): void => settle(() => reject(signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    socket.on('connect', () => socket.write(JSON.stringify({ method, arg: argument })));
    socket.on('data', (chunk) => {
      received.push(chunk);
      const answer = parseAnswer(Buffer.concat(received).toString());
      if (answer === undefined) return;
      settle(() =>
        answer.success ? resolve(answer.result) : reject(new Error(`"${method}" failed in the sandbox: ${answer.err}`)),
      );
    });
    socket.on('error', (cause) => settle(() => reject(new SandboxGone(`Control socket: ${cause.message}`, { cause }))));
    socket.on('close', () => settle(() => reject(new SandboxGone('The control socket closed without an answer'))));
  });
}

interface Answer {
  readonly success: boolean;
  readonly err: string;
  readonly result: unknown;
}

/** The answer, once it is there whole: nothing on the wire says where it ends but its own syntax. */
function parseAnswer(text: string): Answer | undefined {
  try {
    const { success, err, result } = JSON.parse(text) as Record<string, unknown>;
    return { success: success === true, err: typeof err === 'string' ? err : '', result };
  } catch {
    return undefined;
  }
}
