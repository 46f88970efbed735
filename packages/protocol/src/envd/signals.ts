/** Signals by the words that Go has for them, which the guest uses in `signal: WORDS`. Numbers are Linux's. */
const signals: Readonly<Record<string, readonly [name: string, number: number]>> = {
  hangup: ['SIGHUP', 1],
  interrupt: ['SIGINT', 2],
  quit: ['SIGQUIT', 3],
  'illegal instruction': ['SIGILL', 4],
  'trace/breakpoint trap': ['SIGTRAP', 5],
  aborted: ['SIGABRT', 6],
  'bus error': ['SIGBUS', 7],
  'floating point exception': ['SIGFPE', 8],
  killed: ['SIGKILL', 9],
  'user defined signal 1': ['SIGUSR1', 10],
  'segmentation fault': ['SIGSEGV', 11],
  'user defined signal 2': ['SIGUSR2', 12],
  'broken pipe': ['SIGPIPE', 13],
  'alarm clock': ['SIGALRM', 14],
  terminated: ['SIGTERM', 15],
  'stack fault': ['SIGSTKFLT', 16],
  'CPU time limit exceeded': ['SIGXCPU', 24],
  'file size limit exceeded': ['SIGXFSZ', 25],
  'virtual timer expired': ['SIGVTALRM', 26],
  'profiling timer expired': ['SIGPROF', 27],
  'I/O possible': ['SIGIO', 29],
  'power failure': ['SIGPWR', 30],
  'bad system call': ['SIGSYS', 31],
};

/** Reads `signal: killed` and the like; `undefined` when the text names no signal. */
export function parseSignal(text: string | undefined): { readonly name: string; readonly number: number } | undefined {
  const words = /^signal: (.+?)(?: \(core dumped\))?$/.exec(text ?? '')?.[1];
  if (words === undefined) return undefined;
  const known = signals[words];
  if (known !== undefined) return { name: known[0], number: known[1] };
  const number = Number(/^signal (\d+)$/.exec(words)?.[1]);
  return Number.isInteger(number) ? { name: `SIG${number}`, number } : undefined;
}
