/**
 * Compares extended attributes, which Node cannot read: by perl, which every Debian has, in one process for a whole comparison. Paths go to its standard
 * input, two at a time, each ended by a zero byte; each pair is answered with `=` or `!`.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { Problem } from '@skerry/model';

/** Numbers of `lgetxattr` and `llistxattr`. */
const systemCalls: Readonly<Record<string, readonly [number, number]>> = { x64: [192, 195], arm64: [9, 12] };

const program = String.raw`
use strict; my ($get, $list) = @ARGV; $| = 1; $/ = "\0"; my $most = 65536;
sub read_all {
  my ($path) = @_; my $names = "\0" x $most;
  my $length = syscall($list, $path, $names, $most);
  return "" if $length <= 0;
  my $all = "";
  for my $name (sort split /\0/, substr($names, 0, $length)) {
    my $value = "\0" x $most;
    my $bytes = syscall($get, $path, $name, $value, $most);
    $all .= pack("N/a* N/a*", $name, $bytes < 0 ? "" : substr($value, 0, $bytes));
  }
  return $all;
}
while (defined(my $before = <STDIN>)) {
  defined(my $after = <STDIN>) or last;
  chomp($before, $after);
  print read_all($before) eq read_all($after) ? "=" : "!";
}`;

export class Attributes implements AsyncDisposable {
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #hasEnded = false;
  /** Those who wait, in the order of their questions. */
  readonly #waiting: ((answer: string | undefined) => void)[] = [];

  /** Whether two files, not their targets, have the same attributes. */
  async same(before: Buffer, after: Buffer): Promise<boolean> {
    this.#child ??= this.#start();
    const { stdin } = this.#child;
    const answer = await new Promise<string | undefined>((resolve) => {
      if (this.#hasEnded) return resolve(undefined);
      this.#waiting.push(resolve);
      stdin.write(Buffer.concat([before, Buffer.of(0), after, Buffer.of(0)]));
    });
    if (answer === undefined)
      throw new Problem('internal', 'The extended attributes of files cannot be read', {
        reason: 'attributes_unreadable',
      });
    return answer === '=';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child === undefined || this.#hasEnded) return;
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }

  #start(): ChildProcessByStdio<Writable, Readable, null> {
    const child = start();
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      for (const answer of text) this.#waiting.shift()?.(answer);
    });
    // It ends before it is asked to when it cannot be started, or fails.
    child.once('close', () => {
      this.#hasEnded = true;
      for (const resolve of this.#waiting.splice(0)) resolve(undefined);
    });
    return child;
  }
}

function start(): ChildProcessByStdio<Writable, Readable, null> {
  const numbers = systemCalls[process.arch];
  if (numbers === undefined)
    throw new Problem('unsupported', `Extended attributes cannot be read on "${process.arch}"`, {
      reason: 'unknown_architecture',
    });
  const child = spawn('perl', ['-e', program, ...numbers.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] });
  // Its end is noticed by whoever waits for an answer.
  child.stdin.on('error', () => undefined);
  child.on('error', () => undefined);
  return child;
}
