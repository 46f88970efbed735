import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { connect } from '../../instance/find.ts';
import { printJson, printLine } from '../../output/print.ts';
import { tableLines } from '../../output/table.ts';
import { formatAge } from '../../output/units.ts';

export function listKeysCommand(): Command {
  return makeCommand('ls', 'list the keys').action(async (_: unknown, command: Command) => {
    const options = command.optsWithGlobals<CommonOptions>();
    const keys = await Array.fromAsync((await connect(options)).keys.list());
    if (options.json) {
      printJson({ items: keys });
      return;
    }
    const rows = keys.map((key) => [
      key.id,
      key.name,
      key.role,
      `${key.hint}…`,
      formatAge(key.createdAt),
      key.revokedAt !== undefined ? 'revoked' : key.expiresAt === undefined ? '' : `until ${key.expiresAt}`,
    ]);
    for (const line of tableLines(['ID', 'NAME', 'ROLE', 'KEY', 'AGE', 'ENDS'], rows)) printLine(line);
  });
}
