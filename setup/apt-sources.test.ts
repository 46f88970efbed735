import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { debianSources, parseDeb822, parseOneLine, renderDeb822 } from './apt-sources.ts';

const MACHINE = `# The distribution
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://elsewhere.example/node_20.x
Suites: nodistro
Components: main
Signed-By: /usr/share/keyrings/elsewhere.gpg

Types: deb
Enabled: no
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
`;

test("debianSources() keeps Debian's archives and leaves out all others", () => {
  const kept = debianSources(parseDeb822(MACHINE), 'bookworm');
  assert.deepEqual(kept, [
    {
      uris: ['http://mirror.example/debian'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main'],
      signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
    },
  ]);
});

test('debianSources() leaves out addresses with credentials, local files and foreign keys', () => {
  const lines = [
    'deb http://user:secret@mirror.example/debian bookworm main',
    'deb file:/srv/debian bookworm main',
    'deb [arch=amd64 signed-by=/usr/share/keyrings/vendor.gpg] https://vendor.example/apt bookworm main',
    'deb https://vendor.example/apt bookworm stable',
    '# deb http://mirror.example/debian bookworm main',
    'deb-src http://mirror.example/debian bookworm main',
  ];
  assert.deepEqual(debianSources(parseOneLine(lines.join('\n')), 'bookworm'), []);
});

test('parseOneLine() reads options, components and trailing comments', () => {
  assert.deepEqual(parseOneLine('deb [ arch=amd64 signed-by=/k.gpg ] http://m.example/d bookworm main contrib # why'), [
    { uris: ['http://m.example/d'], suites: ['bookworm'], components: ['main', 'contrib'], signedBy: '/k.gpg' },
  ]);
});

test('renderDeb822() writes what parseDeb822() reads', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9./:-]{0,20}$/);
  const words = fc.array(word, { minLength: 1, maxLength: 3 });
  const source = fc.record(
    { uris: words, suites: words, components: words, signedBy: fc.option(word) },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(source, { minLength: 1, maxLength: 4 }), (sources) => {
      assert.deepEqual(parseDeb822(renderDeb822(sources)), sources);
    }),
  );
});

test('parseDeb822() and parseOneLine() survive any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      parseDeb822(text);
      parseOneLine(text);
    }),
  );
});
