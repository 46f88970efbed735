import type { RunningProcess, Sandbox, StartOptions } from '@skerry/sdk';

const answerWithinMs = 20_000;

/** One process of the tour: everything it prints is read, over pauses too, and it can be asked. */
class Session {
  readonly pid: number;
  #running: RunningProcess;
  #text = '';
  #broken: Error | undefined;

  constructor(running: RunningProcess) {
    this.pid = running.pid;
    this.#running = running;
    this.#read(running);
  }

  get text(): string {
    return this.#text;
  }

  /** Sends a line, and waits for what it prints in answer. */
  async ask(line: string, to: 'stdin' | 'pty', wanted: RegExp): Promise<string> {
    const from = this.#text.length;
    await this.#running.sendInput(new TextEncoder().encode(`${line}\n`), to);
    return this.until(wanted, from);
  }

  /** Waits until what was printed after `from` matches, and gives back the first group. */
  async until(wanted: RegExp, from: number): Promise<string> {
    const end = performance.now() + answerWithinMs;
    for (;;) {
      const match = wanted.exec(this.#text.slice(from));
      if (match !== null) return match[1] ?? match[0];
      if (this.#broken !== undefined) throw this.#broken;
      if (performance.now() > end) throw new Error(`It never said ${wanted}, but: ${this.#text.slice(-200)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Attaches anew, after this program's connection was cut. */
  async attachAgain(sandbox: Sandbox): Promise<void> {
    this.#broken = undefined;
    this.#running = await sandbox.process.connect(this.pid);
    this.#read(this.#running);
  }

  async leave(): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
  }

  #read(running: RunningProcess): void {
    const decoder = new TextDecoder();
    const ended = running.wait(({ data }) => {
      if (running === this.#running) this.#text += decoder.decode(data, { stream: true });
    });
    const broken = (why: unknown): void => {
      if (running === this.#running) this.#broken = why instanceof Error ? why : new Error(String(why));
    };
    ended.then(() => broken('It has ended'), broken);
  }
}

/** Work that lives in memory alone: a counter, a shell on a terminal with a variable, a Python session with data. */
export class LiveWork {
  readonly #counter: Session;
  readonly #shell: Session;
  readonly #python: Session;
  #count = 0;

  private constructor(counter: Session, shell: Session, python: Session) {
    this.#counter = counter;
    this.#shell = shell;
    this.#python = python;
  }

  static async start(sandbox: Sandbox): Promise<LiveWork> {
    const start = async (options: StartOptions): Promise<Session> => new Session(await sandbox.process.start(options));
    const [counter, shell, python] = await Promise.all([
      start({ command: ['bash', '-c', 'n=0; while sleep 0.05; do echo $((n += 1)); done'] }),
      start({ command: ['bash', '--norc'], stdin: true, terminal: { cols: 80, rows: 24 } }),
      start({ command: ['python3', '-q', '-i', '-u'], stdin: true }),
    ]);
    const work = new LiveWork(counter, shell, python);
    await shell.ask('fruit=apple; echo ready-$?', 'pty', /ready-0/);
    await python.ask('data = [n * n for n in range(100_000)]; print("ready")', 'stdin', /ready/);
    await work.look();
    return work;
  }

  /** Asks each of the three. Throws when one is not where it was. */
  async look(): Promise<string> {
    const count = await this.#nextCount();
    const fruit = await this.#shell.ask('echo "fruit=$fruit."', 'pty', /fruit=(\w+)\.\r?\n/);
    const sum = await this.#python.ask('print(sum(data), "is the sum")', 'stdin', /(\d+) is the sum/);
    if (fruit !== 'apple') throw new Error(`The shell's variable is "${fruit}"`);
    if (sum !== '333328333350000') throw new Error(`Python's data adds up to ${sum}`);
    if (count <= this.#count) throw new Error(`The counter is at ${count}, after ${this.#count}`);
    const from = this.#count;
    this.#count = count;
    return `counter ${from === 0 ? '' : `${from} → `}${count}, shell: fruit=apple, Python: sum ${sum}`;
  }

  /** Whether no number of the counter is missing in what was read of it. */
  hasEveryCount(): boolean {
    const lines = this.#counter.text.split('\n').slice(0, -1);
    return lines.every((line, index) => Number(line) === index + 1);
  }

  async attachAgain(sandbox: Sandbox): Promise<void> {
    await Promise.all([this.#counter, this.#shell, this.#python].map((session) => session.attachAgain(sandbox)));
  }

  async leave(): Promise<void> {
    await Promise.all([this.#counter, this.#shell, this.#python].map((session) => session.leave()));
  }

  async #nextCount(): Promise<number> {
    return Number(await this.#counter.until(/(?:^|\n)(\d+)\n/, this.#counter.text.length));
  }
}
