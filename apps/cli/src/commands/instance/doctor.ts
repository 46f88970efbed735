import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { SkerryError } from '@skerry/sdk';
import type { Command } from 'commander';
import { type CommonOptions, makeCommand } from '../../command.ts';
import { checkout, dataDirOf, listenOf } from '../../instance/paths.ts';

export function doctorCommand(): Command {
  return makeCommand('doctor', 'every need of this machine: pass, warn or fail, with reason and remedy').action(
    async (options: CommonOptions) => {
      const script = join(checkout, 'apps/host/src/doctor/main.ts');
      const listen = listenOf({});
      const args = [
        '--data',
        dataDirOf(options),
        ...(listen === undefined ? [] : ['--listen', listen]),
        ...(options.json ? ['--json'] : []),
      ];
      const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit' });
      const status = await new Promise<number | null>((resolve, reject) => {
        child.once('error', (cause) =>
          reject(
            new SkerryError({
              code: 'internal',
              reason: 'doctor_failed',
              message: 'The doctor could not be started',
              status: 0,
              cause,
            }),
          ),
        );
        child.once('exit', resolve);
      });
      process.exitCode = status ?? 1;
    },
  );
}
