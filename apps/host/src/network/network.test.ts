import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newId } from '@skerry/model';
import fc from 'fast-check';
import {
  AddressPlan,
  formatAddress,
  inside,
  isSandboxLink,
  overlaps,
  parseAddress,
  parseRange,
} from './address-plan.ts';
import { closedRanges } from './closed-ranges.ts';
import { refuseCollision } from './collision.ts';
import { icmpCompensation } from './edge-rules.ts';
import { SlotTable } from './slot-table.ts';

const anyAddress = fc.nat(0xffffffff);

function isClosed(address: string): boolean {
  const value = parseAddress(address) ?? -1;
  return closedRanges.some(({ range }) => {
    const { first, last } = parseRange(range) ?? { first: 1, last: 0 };
    return first <= value && value <= last;
  });
}

describe('addresses', () => {
  test('parseAddress() undoes formatAddress()', () => {
    fc.assert(fc.property(anyAddress, (value) => assert.equal(parseAddress(formatAddress(value)), value)));
  });

  test('parseAddress() and parseRange() take nothing else', () => {
    for (const text of ['', '1.2.3', '1.2.3.256', '1.2.3.4.5', 'a.b.c.d', '::1', ' 1.2.3.4', '1.2.3.4 '])
      assert.equal(parseAddress(text), undefined, text);
    for (const text of ['1.2.3.4/33', '1.2.3.4/', '1.2.3.4/8/8', '1.2.3.4/-1', '10/8'])
      assert.equal(parseRange(text), undefined, text);
  });

  test('parseRange() holds the address that it was made of, and overlaps() is symmetric', () => {
    fc.assert(
      fc.property(anyAddress, fc.nat(32), anyAddress, fc.nat(32), (one, oneLength, other, otherLength) => {
        const first = parseRange(`${formatAddress(one)}/${oneLength}`);
        const second = parseRange(`${formatAddress(other)}/${otherLength}`);
        assert.ok(first && second);
        assert.ok(first.first <= one && one <= first.last);
        assert.equal(first.last - first.first + 1, 2 ** (32 - oneLength));
        assert.equal(overlaps(first, second), overlaps(second, first));
      }),
    );
  });
});

describe('AddressPlan', () => {
  const plan = new AddressPlan('abc123', '10.201.16.0/20');

  test('every slot has an address of its own in the subnet, which is neither first, last nor the instance itself', () => {
    assert.equal(plan.ownAddress, '10.201.16.1');
    assert.equal(plan.slots, 4093);
    assert.equal(plan.address(1), '10.201.16.2');
    assert.equal(plan.address(plan.slots), '10.201.31.254');
  });

  test('slotOf() undoes link() and namespace(), and knows no name of another instance', () => {
    for (const slot of [1, 17, plan.slots]) {
      assert.equal(plan.slotOf(plan.link(slot)), slot);
      assert.equal(plan.slotOf(plan.namespace(slot)), slot);
      assert.ok(isSandboxLink(plan.link(slot)));
    }
    for (const name of ['skabc124v1', 'skabc123v', 'skabc123v0', 'skabc123v01', 'skabc123x1', 'eth0', 'skabc123-1x'])
      assert.equal(plan.slotOf(name), undefined, name);
  });

  test('link names fit the kernel, however large the subnet is', () => {
    const large = new AddressPlan('abc123', '10.0.0.0/8');
    assert.equal(large.slots, 999_999);
    assert.ok(large.link(large.slots).length <= 15);
  });

  test('a subnet or an instance that is none is refused', () => {
    for (const subnet of ['10.201.16.0', '10.201.16.0/30', 'fd00::/64', 'x']) {
      assert.throws(() => new AddressPlan('abc123', subnet), { code: 'invalid' });
    }
    assert.throws(() => new AddressPlan('abc"12', '10.201.16.0/20'), { code: 'invalid' });
  });
});

describe('closedRanges', () => {
  test('hold private, local, carrier, metadata, multicast and reserved addresses', () => {
    for (const address of [
      '0.0.0.0',
      '10.255.255.255',
      '100.64.0.1',
      '100.100.100.200',
      '127.0.0.1',
      '169.254.169.254',
      '172.31.255.1',
      '192.168.0.1',
      '224.0.0.1',
      '255.255.255.255',
      inside.gateway,
    ])
      assert.ok(isClosed(address), address);
  });

  test('do not hold documentation ranges or what is public', () => {
    for (const address of [
      '192.0.2.1',
      '198.51.100.1',
      '203.0.113.1',
      '1.1.1.1',
      '172.32.0.1',
      '100.128.0.1',
      '192.169.0.1',
    ])
      assert.ok(!isClosed(address), address);
  });
});

test('icmpCompensation() keeps the Internet checksum of an error true when the quoted address changes', () => {
  const sum = (bytes: Buffer): number => {
    let total = 0;
    for (let at = 0; at < bytes.length; at += 2) total += bytes.readUInt16BE(at);
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    return total;
  };
  fc.assert(
    fc.property(anyAddress, fc.uint8Array({ minLength: 36, maxLength: 36 }), (unique, bytes) => {
      const message = Buffer.from(bytes);
      message.writeUInt16BE(0, 4);
      message.writeUInt32BE(unique, 20);
      const before = sum(message);
      message.writeUInt16BE(icmpCompensation(formatAddress(unique)), 4);
      message.writeUInt32BE(parseAddress(inside.address) ?? 0, 20);
      // 0 and 0xffff are the same number in ones' complement.
      assert.equal(sum(message) % 0xffff, before % 0xffff);
    }),
  );
});

describe('refuseCollision()', () => {
  const plan = new AddressPlan('abc123', '10.201.16.0/20');

  test('names the route that the subnet collides with, wider or narrower', () => {
    for (const destination of ['10.0.0.0/8', '10.201.17.4', '10.201.16.0/20', '10.201.16.1']) {
      assert.throws(() => refuseCollision(plan, [{ destination, device: 'eth1' }]), {
        reason: 'subnet_collision',
        message: /eth1/,
      });
    }
  });

  test('lets the default route, other ranges and what the instance itself set up pass', () => {
    refuseCollision(plan, [
      { destination: 'default', device: 'eth0' },
      { destination: '0.0.0.0/0', device: 'eth0' },
      { destination: '10.202.0.0/16', device: 'eth0' },
      { destination: '10.201.16.9', device: 'skabc123v8' },
      { destination: '10.201.16.1', device: 'lo' },
    ]);
  });
});

describe('SlotTable', () => {
  test('reserve() gives each slot once, and one that was given back after all others', () => {
    const table = new SlotTable(5);
    const first = table.reserve(3);
    table.made(first);
    const [given = 0] = first;
    table.free(given);
    const rest = table.reserve(9);
    assert.equal(rest.length, 3);
    assert.equal(rest.at(-1), given);
    assert.deepEqual(table.reserve(1), []);
  });

  test('unowned() counts from when a slot was first seen without an owner', () => {
    const table = new SlotTable(5);
    table.find(2);
    assert.ok((table.unowned(new Set([2, 3])).get(2) ?? -1) >= 0);
    const boot = newId('boot');
    table.hold(2, boot);
    assert.equal(table.held(boot), 2);
    table.free(2);
    assert.equal(table.held(boot), undefined);
  });
});
