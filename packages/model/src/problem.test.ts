import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem, type ProblemCode, problemClasses } from './index.ts';

test('Problem.from() keeps a problem and makes everything else typed', () => {
  const problem = new Problem('conflict', 'Two callers met');
  assert.equal(Problem.from(problem), problem);
  assert.equal(Problem.from(new DOMException('late', 'TimeoutError')).code, 'deadline');
  assert.equal(Problem.from(new DOMException('gone', 'AbortError')).code, 'cancelled');
  assert.equal(Problem.from(Object.assign(new Error('full'), { code: 'ENOSPC' })).status, 507);
  assert.equal(Problem.from('a string').code, 'internal');
});

test('toDocument() shows neither context nor cause', () => {
  const problem = new Problem('internal', 'It broke', { context: { secret: 'hunter2' }, cause: new Error('hunter2') });
  assert.doesNotMatch(JSON.stringify(problem.toDocument('r1')), /hunter2/);
});

test('fromDocument() gives back what toDocument() wrote, for every class', () => {
  for (const code of Object.keys(problemClasses) as ProblemCode[]) {
    const problem = new Problem(code, 'Said', { reason: 'case', hint: 'Do this.' });
    const back = Problem.fromDocument(JSON.parse(JSON.stringify(problem.toDocument())), problem.status);
    assert.deepEqual(
      [back.code, back.message, back.reason, back.hint, back.status],
      [code, 'Said', 'case', 'Do this.', problem.status],
    );
  }
});

test('fromDocument() turns what is no document into an internal problem', () => {
  for (const document of [null, 'text', {}, { code: 'no_such', detail: 'x' }, { code: 'invalid' }])
    assert.equal(Problem.fromDocument(document, 502).code, 'internal');
});

test('status tells what an exhausted problem lacks', () => {
  assert.equal(new Problem('exhausted', 'x').status, 429);
  assert.equal(new Problem('exhausted', 'x', { exhaustion: 'capacity' }).status, 503);
  assert.equal(new Problem('exhausted', 'x', { exhaustion: 'disk' }).status, 507);
});
