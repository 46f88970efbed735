import type { IncomingMessage, ServerResponse } from 'node:http';

/** What cannot be reached, in E2B's words: its clients tell a dead sandbox by this answer. */
export interface Unreachable {
  readonly sandboxId: string;
  readonly message: string;
  readonly port?: number;
  /** HTTP status when it is not 502. */
  readonly code?: 503;
}

export function sandboxNotFound(sandboxId: string): Unreachable {
  return { sandboxId, message: 'The sandbox was not found' };
}

export function portClosed(sandboxId: string, port: number): Unreachable {
  return { sandboxId, message: 'The sandbox is running but port is not open', port };
}

/** The port is open, and what listens there broke the connection off. */
export function portBroken(sandboxId: string, port: number): Unreachable {
  return { sandboxId, message: 'The sandbox closed the connection without an answer', port };
}

/** The request had been sent, and the boot rested before it was answered: it may have had its effect, so nobody may repeat it unasked. */
export function sandboxRested(sandboxId: string): Unreachable {
  return { sandboxId, message: 'The sandbox was put to rest before it answered', code: 503 };
}

export function sandboxSilent(sandboxId: string): Unreachable {
  return { sandboxId, message: 'The sandbox does not answer' };
}

/** Answers 502, or what it says: a page for browsers, JSON for everybody else. */
export function answerUnreachable(request: IncomingMessage, response: ServerResponse, what: Unreachable): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { code = 502 } = what;
  const html = (request.headers.accept ?? '').includes('text/html');
  const body = html ? page(what, code) : JSON.stringify({ ...what, code });
  response.writeHead(code, {
    'content-type': html ? 'text/html; charset=utf-8' : 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(html ? { 'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'" } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function page(what: Unreachable, code: number): string {
  const port = what.port === undefined ? '' : `<p>Port <code>${what.port}</code></p>`;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${code}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:20vh auto;padding:0 1rem}</style>
<h1>${escape(what.message)}</h1><p>Sandbox <code>${escape(what.sandboxId)}</code></p>${port}</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
