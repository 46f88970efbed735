/** Hands every key to the sandbox, Ctrl-C included, until it is disposed. Puts the terminal back however this program ends, short of SIGKILL. */
export function rawTerminal(): Disposable {
  const restore = (): void => {
    if (process.stdin.isTTY && process.stdin.isRaw) process.stdin.setRawMode(false);
  };
  process.stdin.setRawMode(true);
  process.on('exit', restore);
  return {
    [Symbol.dispose]: () => {
      restore();
      process.off('exit', restore);
    },
  };
}
