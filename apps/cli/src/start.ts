/** `npm start [-- --tour-only] [--data DIR] [--listen HOST:PORT]`: set-up, up, the tour; stays until Ctrl-C unless only the tour is wanted. */
import { parseArgs } from 'node:util';
import { upText } from './commands/instance/up.ts';
import { bringDown } from './commands/instance/down.ts';
import { type BroughtUp, bringUp, endSignals } from './instance/bring-up.ts';
import { connect } from './instance/find.ts';
import { killAll } from './instance/kill-all.ts';
import { narrate } from './instance/narrate.ts';
import { dataDirOf, listenOf } from './instance/paths.ts';
import { printFailure } from './output/failure.ts';
import { printLine } from './output/print.ts';
import { runTour } from './tour/tour.ts';

async function start(): Promise<number> {
  const { values } = parseArgs({
    options: { 'tour-only': { type: 'boolean', default: false }, data: { type: 'string' }, listen: { type: 'string' } },
  });
  const place = values.data === undefined ? {} : { data: values.data };
  const listen = listenOf(values.listen === undefined ? {} : { listen: values.listen });
  const dataDir = dataDirOf(place);
  const bring = (): Promise<BroughtUp> =>
    bringUp({ dataDir, listen, insecure: false, allowEgress: [], onEvent: narrate });
  const first = await bring();
  if (first.state === 'already') {
    // Somebody works with it: the tour must not kill it.
    printLine(`Skerry runs already, at ${first.url}.`);
    return (await runTour(await connect({ data: dataDir }), undefined)) ? 0 : 1;
  }
  const now: { brought: BroughtUp | undefined } = { brought: first };
  const good = await runTour(await connect({ data: dataDir }), {
    kill: async () => {
      now.brought = undefined;
      return killAll(dataDir);
    },
    up: async () => {
      now.brought = await bring();
      return connect({ data: dataDir });
    },
  });
  const { brought } = now;
  if (values['tour-only'] || brought?.state !== 'up') {
    await bringDown(dataDir);
    printLine('Skerry is down. "npm start" stays up.');
    return good ? 0 : 1;
  }
  const { supervisor } = brought;
  printLine('');
  printLine(upText(brought.url, dataDir, false));
  for (const signal of endSignals) process.on(signal, () => supervisor.end());
  const status = await supervisor.ended;
  return good ? (status ?? 1) : 1;
}

try {
  process.exitCode = await start();
} catch (error) {
  process.exitCode = printFailure(error, false);
}
