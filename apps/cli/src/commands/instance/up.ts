import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { bringUp, endSignals } from '../../instance/bring-up.ts';
import { narrate } from '../../instance/narrate.ts';
import { dataDirOf, listenOf } from '../../instance/paths.ts';
import { printJson, printLine } from '../../output/print.ts';

interface UpOptions extends CommonOptions {
  readonly detach?: boolean;
  readonly listen?: string;
  readonly insecure?: boolean;
  readonly allowEgress?: readonly string[];
}

export function upCommand(): Command {
  return makeCommand('up', 'set up what is missing, start Skerry, and stay until Ctrl-C')
    .option('--detach', 'return when Skerry answers, and leave it running')
    .option('--listen <host:port>', 'where to listen (SKERRY_LISTEN; as last time; 127.0.0.1:7070)')
    .option('--insecure', 'listen on more than loopback without TLS')
    .option(
      '--allow-egress <cidr>',
      'open a closed range to sandboxes; may be repeated',
      (range: string, before: string[] = []) => [...before, range],
    )
    .action(async (options: UpOptions) => {
      const dataDir = dataDirOf(options);
      const brought = await bringUp({
        dataDir,
        listen: listenOf(options),
        insecure: options.insecure ?? false,
        allowEgress: options.allowEgress ?? [],
        onEvent: narrate,
      });
      const { url } = brought;
      const already = brought.state === 'already';
      if (options.json) printJson({ url, dataDir, already });
      else printLine(already ? `Skerry runs already, at ${url}` : upText(url, dataDir, options.detach ?? false));
      if (brought.state === 'already') return;
      const { supervisor } = brought;
      if (options.detach) {
        supervisor.letGo();
        return;
      }
      for (const signal of endSignals) process.on(signal, () => supervisor.end());
      process.exitCode = (await supervisor.ended) ?? 1;
    });
}

/** Where Skerry answers and where the key is. */
export function upText(url: string, dataDir: string, detached: boolean): string {
  return `Skerry answers at ${url}\nThe key is in ${dataDir}/api.key ("skerry key" prints it).${detached ? '' : '\nCtrl-C brings it down.'}`;
}
