import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLog } from '@skerry/kit';
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { ClientLimits, defaultLimits } from './client-limits.ts';
import { parseConfig } from './config.ts';
import { Resolver } from './resolver.ts';
import { openTcpFront } from './tcp-front.ts';
import { openUdpFront } from './udp-front.ts';
import { Upstreams } from './upstream.ts';

const quiet = createLog('test', 'error', () => undefined);
const recursionDesired = 1 << 8;

/** A name server of the test, which answers what `reply` makes of a question. */
class FakeNameServer implements AsyncDisposable {
  readonly #udp: UdpSocket = createSocket('udp4');
  readonly #tcp = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      const packet = decode(data.subarray(2));
      const answer = encode({ ...this.reply(packet, 'tcp'), id: packet.id, type: 'response' });
      const size = Buffer.alloc(2);
      size.writeUInt16BE(answer.length);
      socket.end(Buffer.concat([size, answer]));
    });
  });
  asked = 0;
  reply: (query: DecodedPacket, transport: 'udp' | 'tcp') => Packet | undefined;
  /** What is sent before the true answer. */
  forge: ((query: DecodedPacket) => Buffer[]) | undefined;
  port = 0;

  constructor(reply: FakeNameServer['reply']) {
    this.reply = reply;
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#udp.bind(0, '127.0.0.1', resolve));
    this.port = this.#udp.address().port;
    await new Promise<void>((resolve) => this.#tcp.listen(this.port, '127.0.0.1', resolve));
    this.#udp.on('message', (message, { address, port }) => {
      this.asked += 1;
      const query = decode(message);
      for (const forged of this.forge?.(query) ?? []) this.#udp.send(forged, port, address);
      const answer = this.reply(query, 'udp');
      if (answer !== undefined) this.#udp.send(encode({ ...answer, id: query.id, type: 'response' }), port, address);
    });
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#udp.close(() => resolve()));
    await new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
  }
}

function addressAnswer(query: DecodedPacket, data = '203.0.113.7', ttl = 60): Packet {
  return { questions: query.questions, answers: query.questions.map(({ name }) => ({ name, type: 'A', ttl, data })) };
}

interface Front extends AsyncDisposable {
  readonly port: number;
  readonly resolver: Resolver;
  readonly limits: ClientLimits;
}

async function openFront(ports: readonly number[], limits: ClientLimits = new ClientLimits()): Promise<Front> {
  const upstreams = new Upstreams(
    ports.map((port) => ({ address: '127.0.0.1', port })),
    { udpMs: 300, tcpMs: 300 },
  );
  const resolver = new Resolver({ upstreams, limits, log: quiet });
  const udp = await openUdpFront(resolver, '127.0.0.1', 0);
  const tcp = await openTcpFront(resolver, limits, '127.0.0.1', udp.port);
  return {
    port: udp.port,
    resolver,
    limits,
    async [Symbol.asyncDispose]() {
      await udp[Symbol.asyncDispose]();
      await tcp[Symbol.asyncDispose]();
    },
  };
}

function question(name: string, type = 'A', id = 7): Packet {
  return { id, type: 'query', flags: recursionDesired, questions: [{ name, type }] };
}

async function askByUdp(port: number, message: Buffer, timeoutMs = 2000): Promise<Buffer | undefined> {
  const socket = createSocket('udp4');
  try {
    return await new Promise<Buffer | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), timeoutMs);
      socket.once('message', (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      socket.send(message, port, '127.0.0.1');
    });
  } finally {
    socket.close();
  }
}

async function ask(port: number, packet: Packet): Promise<DecodedPacket> {
  const answer = await askByUdp(port, encode(packet));
  assert.ok(answer, 'an answer came');
  return decode(answer);
}

async function askByTcp(port: number, packets: readonly Packet[]): Promise<DecodedPacket[]> {
  const answers: DecodedPacket[] = [];
  let received: Buffer = Buffer.alloc(0);
  const socket = connect(port, '127.0.0.1');
  for (const packet of packets) {
    const message = encode(packet);
    const size = Buffer.alloc(2);
    size.writeUInt16BE(message.length);
    // Byte by byte: frames may come in any pieces.
    for (const byte of Buffer.concat([size, message])) socket.write(Buffer.of(byte));
  }
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      while (received.length > 2 && received.length >= 2 + received.readUInt16BE(0)) {
        answers.push(decode(received.subarray(2, 2 + received.readUInt16BE(0))));
        received = received.subarray(2 + received.readUInt16BE(0));
      }
      if (answers.length === packets.length) socket.end();
    });
  });
  return answers;
}

describe('Resolver', () => {
  let server: FakeNameServer;
  let front: Front;
  before(async () => {
    server = await new FakeNameServer((query) => addressAnswer(query)).open();
    front = await openFront([server.port]);
  });
  after(async () => {
    await front[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test('answer() gives an address by UDP, under the id and in the spelling that were asked', async () => {
    const answer = await ask(front.port, question('WwW.Example.Test', 'A', 4711));
    assert.equal(answer.id, 4711);
    assert.deepEqual(answer.questions[0]?.name, 'WwW.Example.Test');
    assert.deepEqual(answer.answers[0]?.data, '203.0.113.7');
  });

  test('answer() gives addresses by TCP, several on one connection', async () => {
    const answers = await askByTcp(front.port, [question('one.test', 'A', 1), question('two.test', 'A', 2)]);
    assert.deepEqual(answers.map(({ id }) => id).sort(), [1, 2]);
    assert.ok(answers.every(({ answers: [record] }) => record?.data === '203.0.113.7'));
  });

  test('answer() asks an upstream once for a name that is asked again, and counts its time to live down', async () => {
    await ask(front.port, question('cached.test'));
    const asked = server.asked;
    const again = await ask(front.port, question('CACHED.test', 'A', 99));
    assert.equal(server.asked, asked);
    assert.equal(again.id, 99);
    assert.ok((again.answers[0]?.ttl ?? 0) > 50);
  });

  test('answer() joins equal questions that come at the same time', async () => {
    const asked = server.asked;
    await Promise.all(Array.from({ length: 10 }, (_, id) => ask(front.port, question('joined.test', 'A', id))));
    assert.equal(server.asked, asked + 1);
  });

  test('answer() gives no IPv6 address and asks nobody for one', async () => {
    const asked = server.asked;
    const answer = await ask(front.port, question('six.test', 'AAAA'));
    assert.equal(answer.rcode, 'NOERROR');
    assert.equal(answer.answers.length, 0);
    assert.equal(server.asked, asked);
  });

  test('answer() passes over forged answers: wrong id, wrong name, garbage', async () => {
    server.forge = (query) => [
      encode({ ...addressAnswer(query, '10.0.0.1'), id: (query.id + 1) & 0xffff, type: 'response' }),
      encode({ id: query.id, type: 'response', questions: [{ name: 'other.test', type: 'A' }] }),
      Buffer.from('garbage'),
      Buffer.alloc(0),
    ];
    const answer = await ask(front.port, question('forged.test'));
    server.forge = undefined;
    assert.equal(answer.answers[0]?.data, '203.0.113.7');
  });

  test('answer() tells the client to use TCP when the answer is too long for UDP, and gives it whole there', async () => {
    const answers = (query: DecodedPacket): Packet => ({
      questions: query.questions,
      answers: Array.from({ length: 100 }, (_, index) => ({
        name: 'long.test',
        type: 'A',
        ttl: 60,
        data: `203.0.113.${index}`,
      })),
    });
    server.reply = (query, transport) =>
      transport === 'tcp' ? answers(query) : { questions: query.questions, flags: 1 << 9 };
    const short = await ask(front.port, question('long.test'));
    assert.equal(short.flag_tc, true);
    assert.equal(short.answers.length, 0);
    const [whole] = await askByTcp(front.port, [question('long.test')]);
    assert.equal(whole?.answers.length, 100);
    server.reply = (query) => addressAnswer(query);
  });

  test('answer() keeps a name that does not exist as long as its zone says', async () => {
    server.reply = (query) => ({
      flags: 3,
      questions: query.questions,
      authorities: [
        {
          name: 'test',
          type: 'SOA',
          ttl: 600,
          data: { mname: 'a.test', rname: 'b.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 30 },
        },
      ],
    });
    assert.equal((await ask(front.port, question('nothing.test'))).rcode, 'NXDOMAIN');
    const asked = server.asked;
    assert.equal((await ask(front.port, question('nothing.test'))).rcode, 'NXDOMAIN');
    assert.equal(server.asked, asked);
    server.reply = (query) => addressAnswer(query);
  });

  test('answer() refuses zone transfers, ANY and other classes without asking', async () => {
    const asked = server.asked;
    assert.equal((await ask(front.port, question('zone.test', 'AXFR'))).rcode, 'NOTIMP');
    assert.equal((await ask(front.port, question('zone.test', 'ANY'))).rcode, 'NOTIMP');
    const chaos = await ask(front.port, {
      id: 1,
      type: 'query',
      questions: [{ name: 'version.bind', type: 'TXT', class: 'CH' }],
    });
    assert.equal(chaos.rcode, 'REFUSED');
    assert.equal(server.asked, asked);
  });

  test('answer() says nothing to answers, so that two resolvers never talk in circles', async () => {
    const echo = encode({ ...question('loop.test'), type: 'response' });
    assert.equal(await front.resolver.answer(echo, '192.0.2.1', 'udp'), undefined);
  });
});

describe('Upstreams', () => {
  test('ask() takes the next name server when one is silent, and prefers it from then on', async () => {
    await using silent = await new FakeNameServer(() => undefined).open();
    await using working = await new FakeNameServer((query) => addressAnswer(query)).open();
    await using front = await openFront([silent.port, working.port]);
    assert.equal((await ask(front.port, question('a.test'))).answers[0]?.data, '203.0.113.7');
    const asked = silent.asked;
    await ask(front.port, question('b.test'));
    assert.equal(silent.asked, asked);
  });

  test('ask() takes the next name server when one fails by its own words', async () => {
    await using failing = await new FakeNameServer((query) => ({ flags: 2, questions: query.questions })).open();
    await using working = await new FakeNameServer((query) => addressAnswer(query)).open();
    await using front = await openFront([failing.port, working.port]);
    assert.equal((await ask(front.port, question('a.test'))).answers[0]?.data, '203.0.113.7');
  });

  test('ask() asks again when a datagram was lost', async () => {
    let lost = false;
    await using server = await new FakeNameServer((query) => {
      if (lost) return addressAnswer(query);
      lost = true;
      return undefined;
    }).open();
    await using front = await openFront([server.port]);
    assert.equal((await ask(front.port, question('a.test'))).rcode, 'NOERROR');
  });

  test('Resolver answers SERVFAIL when every name server is dead or none is known', async () => {
    await using silent = await new FakeNameServer(() => undefined).open();
    await using dead = await openFront([silent.port]);
    await using none = await openFront([]);
    assert.equal((await ask(dead.port, question('a.test'))).rcode, 'SERVFAIL');
    assert.equal((await ask(none.port, question('a.test'))).rcode, 'SERVFAIL');
  });
});

describe('ClientLimits', () => {
  test('mayAsk() stops one client that floods, not another', () => {
    let now = 0;
    const limits = new ClientLimits({ ...defaultLimits, rate: 10, burst: 20 }, () => now);
    const allowed = Array.from({ length: 100 }, () => limits.mayAsk('10.0.0.1')).filter(Boolean).length;
    assert.equal(allowed, 20);
    assert.equal(limits.mayAsk('10.0.0.2'), true);
    now = 1000;
    assert.equal(Array.from({ length: 100 }, () => limits.mayAsk('10.0.0.1')).filter(Boolean).length, 10);
  });

  test('wait() and connect() keep a client to its places and give them back once', () => {
    const limits = new ClientLimits({ ...defaultLimits, waitingPerClient: 2, connectionsPerClient: 1 });
    const first = limits.wait('10.0.0.1');
    assert.ok(first && limits.wait('10.0.0.1'));
    assert.equal(limits.wait('10.0.0.1'), undefined);
    assert.ok(limits.wait('10.0.0.2'));
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    assert.ok(limits.wait('10.0.0.1'));
    assert.equal(limits.wait('10.0.0.1'), undefined);
    assert.ok(limits.connect('10.0.0.1'));
    assert.equal(limits.connect('10.0.0.1'), undefined);
  });

  test('Resolver answers others while one client holds all the waiting places it may have', async () => {
    await using server = await new FakeNameServer((query) =>
      query.questions[0]?.name.startsWith('slow') === true ? undefined : addressAnswer(query),
    ).open();
    await using front = await openFront([server.port]);
    const flood = Array.from({ length: 200 }, (_, index) =>
      front.resolver.answer(encode(question(`slow${index}.test`)), '10.0.0.1', 'udp'),
    );
    const answer = await front.resolver.answer(encode(question('quick.test')), '10.0.0.2', 'udp');
    assert.ok(answer);
    assert.equal(decode(answer).rcode, 'NOERROR');
    const codes = (await Promise.all(flood)).map((message) => (message === undefined ? '' : decode(message).rcode));
    assert.ok(codes.every((code) => code === 'SERVFAIL'));
    assert.ok(server.asked < 2 * defaultLimits.waitingPerClient + 10);
  });
});

describe('hostile bytes', () => {
  const upstreams = { ask: () => Promise.reject(new Error('not asked')) };
  const limits = new ClientLimits({ ...defaultLimits, rate: 1e9, burst: 1e9 });
  const resolver = new Resolver({ upstreams, limits, log: quiet });

  test('answer() never throws and never answers with more than was asked, whatever comes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 1500 }), async (bytes) => {
        const answer = await resolver.answer(Buffer.from(bytes), '10.0.0.1', 'udp');
        assert.ok(answer === undefined || answer.length <= Math.max(12, bytes.length));
      }),
      { numRuns: 3000 },
    );
  });

  test('answer() survives a true question with some bytes changed or cut off', async () => {
    const whole = encode({
      ...question('some.name.test'),
      additionals: [{ name: '.', type: 'OPT', udpPayloadSize: 4096, flags: 0 }],
    });
    const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 6 }), fc.nat(whole.length), async (changes, length) => {
        const message = Buffer.from(whole);
        for (const { at, to } of changes) message[at] = to;
        const answer = await resolver.answer(message.subarray(0, length), '10.0.0.1', 'tcp');
        if (answer !== undefined) assert.ok((answer.readUInt16BE(2) & 0x8000) !== 0);
      }),
      { numRuns: 3000 },
    );
  });

  test('Upstreams survive any bytes of a name server', async () => {
    await using server = await new FakeNameServer((query) => addressAnswer(query)).open();
    await using front = await openFront([server.port], limits);
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        count += 1;
        server.forge = (query) => {
          const message = Buffer.from(bytes);
          if (message.length > 2) message.writeUInt16BE(query.id, 0);
          return [message];
        };
        const answer = await ask(front.port, question(`n${count}.test`));
        assert.equal(answer.answers[0]?.data, '203.0.113.7');
      }),
      { numRuns: 200 },
    );
  });

  test('the TCP front cuts off frames without end and clients with too many connections', async () => {
    await using front = await openFront([]);
    const closed = (bytes: Buffer): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect(front.port, '127.0.0.1', () => socket.write(bytes));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve());
      });
    await closed(Buffer.from([0xff, 0xff, 1, 2, 3]));
    await closed(Buffer.from([0, 0]));
    const sockets = Array.from({ length: 20 }, () => connect(front.port, '127.0.0.1'));
    const ended = sockets.map(
      (socket) => new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve())),
    );
    await Promise.all(ended.slice(defaultLimits.connectionsPerClient));
    for (const socket of sockets) socket.destroy();
    const socket = connect(front.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.destroy();
  });
});

test('parseConfig() names the field that is wrong', () => {
  const good = {
    version: 1,
    instance: 'abcdef',
    listenAddress: '127.0.0.1',
    resolverPort: 53,
    upstreams: [],
    logLevel: 'info',
  };
  assert.equal(parseConfig(JSON.stringify(good)).resolverPort, 53);
  for (const field of Object.keys(good)) {
    assert.throws(() => parseConfig(JSON.stringify({ ...good, [field]: {} })), {
      code: 'invalid',
      message: new RegExp(field),
    });
  }
});

test('main.ts says that it is ready, answers, and ends on SIGTERM', async () => {
  await using server = await new FakeNameServer((query) => addressAnswer(query)).open();
  const directory = await mkdtemp(join(tmpdir(), 'egress-'));
  try {
    const file = join(directory, 'egress.json');
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    await writeFile(
      file,
      JSON.stringify({
        version: 1,
        instance: 'abcdef',
        listenAddress: '127.0.0.1',
        resolverPort: port,
        upstreams: [{ address: '127.0.0.1', port: server.port }],
        logLevel: 'warn',
      }),
    );
    const main = join(import.meta.dirname, 'main.ts');
    const child = spawn(process.execPath, [main, '--config', file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const line = await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data))));
    assert.deepEqual(JSON.parse(line), { ready: true, port });
    assert.equal((await ask(port, question('real.test'))).answers[0]?.data, '203.0.113.7');
    const status = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    assert.equal(await status, 0);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
