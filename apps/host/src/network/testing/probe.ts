/**
 * What the network tests run in a namespace, on the machine, or in a sandbox, as a process of its own:
 * `serve PORT` answers TCP with the peer's address and UDP with the datagram, and prints every datagram;
 * `tcp ADDRESS PORT`, `udp ADDRESS PORT TEXT [SOURCE]` and `send ADDRESS PORT BYTES` print one JSON line with what came of it.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** How long an answer is waited for; a SYN is sent again after 1 s. */
const waitMs = { tcp: 1500, udp: 700 };

function print(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function serve(port: number): void {
  createServer((socket) => {
    socket.on('error', () => undefined);
    let bytes = 0;
    socket.on('data', (data) => {
      bytes += data.length;
    });
    socket.on('end', () => socket.end(JSON.stringify({ peer: socket.remoteAddress, bytes })));
    if (port % 2 === 0) socket.write(`${socket.remoteAddress}\n`);
  }).listen({ port, host: '0.0.0.0', allowHalfOpen: true });
  // One socket for each address, so that every datagram is answered from the address that it was sent to.
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  for (const { address, family } of [...addresses, { address: '::', family: 'IPv6' }]) {
    if (family === 'IPv6' && address !== '::') continue;
    const socket = family === 'IPv6' ? createSocket({ type: 'udp6', ipv6Only: true }) : createSocket('udp4');
    socket.on('error', () => undefined);
    socket.on('message', (message, peer) => {
      print({ datagram: message.length > 200 ? message.length : String(message), peer: peer.address });
      socket.send(message, peer.port, peer.address);
    });
    socket.bind(port, address);
  }
  print({ serving: port });
}

function tcp(address: string, port: number): void {
  const socket = connect({ host: address, port });
  const timer = setTimeout(() => end({ error: 'timeout' }), waitMs.tcp);
  const end = (result: unknown): void => {
    clearTimeout(timer);
    print(result);
    socket.destroy();
  };
  socket.once('error', (error: NodeJS.ErrnoException) => end({ error: error.code }));
  socket.once('data', (data) => end({ answer: String(data).trim() }));
}

function udp(address: string, port: number, text: string, source: string | undefined): void {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  const end = (result: unknown): void => {
    clearTimeout(timer);
    print(result);
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.close();
  };
  const timer = setTimeout(() => end({ error: 'timeout' }), waitMs.udp);
  socket.once('error', (error: NodeJS.ErrnoException) => end({ error: error.code }));
  socket.once('message', (message) => end({ answer: message.length > 200 ? message.length : String(message) }));
  // `#3000` stands for so many bytes: a datagram of fragments.
  const payload = text.startsWith('#') ? Buffer.alloc(Number(text.slice(1)), 'x') : Buffer.from(text);
  const send = (): void =>
    socket.connect(port, address, () => {
      socket.send(payload, (error: NodeJS.ErrnoException | null) => {
        if (error !== null) end({ error: error.code });
      });
    });
  if (source === undefined) send();
  else socket.bind({ address: source }, send);
}

/** Sends many bytes and prints how many the other side has read. */
function bulk(address: string, port: number, bytes: number): void {
  const socket = connect({ host: address, port, allowHalfOpen: true });
  let answer = '';
  const timer = setTimeout(() => socket.destroy(new Error('timeout')), 20_000);
  socket.on('data', (data) => {
    answer += String(data);
  });
  socket.on('error', (error) => print({ error: error.message }));
  socket.on('close', () => {
    clearTimeout(timer);
    print({ answer });
  });
  socket.end(Buffer.alloc(bytes, 'y'));
}

const [mode, ...words] = process.argv.slice(2);
if (mode === 'serve') for (const port of words) serve(Number(port));
else if (mode === 'tcp') tcp(words[0] ?? '', Number(words[1]));
else if (mode === 'udp') udp(words[0] ?? '', Number(words[1]), words[2] ?? 'hello', words[3]);
else if (mode === 'bulk') bulk(words[0] ?? '', Number(words[1]), Number(words[2]));
else process.exitCode = 2;
