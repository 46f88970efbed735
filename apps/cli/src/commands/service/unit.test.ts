import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quoted, unitText } from './unit.ts';

test('unitText() starts the clone with its data directory', () => {
  const text = unitText({
    checkout: '/opt/my skerry',
    dataDir: '/var/lib/skerry',
    listen: '127.0.0.1:7070',
    path: '/usr/bin:/bin',
  });
  assert.match(text, /^ExecStart="\/opt\/my skerry\/skerry" up --data \/var\/lib\/skerry --listen 127\.0\.0\.1:7070$/m);
  assert.match(text, /^KillMode=mixed$/m);
  assert.match(text, /^Delegate=yes$/m);
});

test('quoted() keeps systemd from reading specifiers, variables and quotes', () => {
  assert.equal(quoted('/a%b$c'), '/a%%b$$c');
  assert.equal(quoted('a"b c'), '"a\\"b c"');
});
