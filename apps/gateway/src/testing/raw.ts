import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Sends bytes as they are and gives what comes back until the other side ends, or nothing has come for `quietMs`. */
export async function raw(port: number, bytes: string | Buffer, quietMs = 300): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('error', () => undefined);
  socket.setTimeout(quietMs, () => socket.destroy());
  socket.on('data', (chunk) => void (text += chunk.toString('latin1')));
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

/** Opens a connection. Errors on it are its end. */
export async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** The statuses of the answers in a text. */
export function statuses(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1] ?? '');
}
