/** `npm start [-- --tour-only] [--data DIR] [--listen HOST:PORT]`: set-up, up, the tour; stays until Ctrl-C unless only the tour is wanted. */
import { parseArgs } from 'node:util';
import { upText } from './commands/instance/up.ts';
import { bringDown } from './commands/instance/down.ts';
import { bringUp, endSignals } from './instance/bring-up.ts';
import { connect } from './instance/find.ts';
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
  const brought = await bringUp({ dataDir, listen, insecure: false, allowEgress: [], onEvent: narrate });
  if (brought.state === 'already') printLine(`Skerry runs already, at ${brought.url}.`);
  const good = await runTour(await connect({ data: dataDir }));
  if (brought.state === 'already') return good ? 0 : 1;
  if (values['tour-only']) {
    await bringDown(dataDir);
    printLine('Skerry is down. "npm start" stays up.');
    return good ? 0 : 1;
  }
  printLine('');
  printLine(upText(brought.url, dataDir, false));
  for (const signal of endSignals) process.on(signal, () => brought.supervisor.end());
  const status = await brought.supervisor.ended;
  return good ? (status ?? 1) : 1;
}

try {
  process.exitCode = await start();
} catch (error) {
  process.exitCode = printFailure(error, false);
}
