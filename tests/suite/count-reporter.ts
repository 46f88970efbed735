/** A reporter for node:test that writes only a file's totals, as one JSON line, when all of it has run. */
interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly details?: { readonly type?: string };
  };
}

// oxlint-disable-next-line import/no-default-export -- node:test takes a reporter as a module's default export.
export default async function* countReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let [passed, failed, skipped] = [0, 0, 0];
  for await (const { type, data } of events) {
    if (type === 'test:fail') failed += 1;
    if (type !== 'test:pass' || data.details?.type === 'suite') continue;
    // A skip or a todo is a string, or true; either way the test proved nothing.
    if (data.skip !== undefined || data.todo !== undefined) skipped += 1;
    else passed += 1;
  }
  yield `${JSON.stringify({ passed, failed, skipped })}\n`;
}
