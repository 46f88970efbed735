import { runCommand, tryCommand } from '@skerry/kit';

const deadlineMs = 60_000;

/** Runs lines of `ip -batch`; the first that fails ends it. */
export async function ipBatch(lines: readonly string[], namespace?: string): Promise<void> {
  if (lines.length === 0) return;
  const where = namespace === undefined ? [] : ['-n', namespace];
  await runCommand('ip', [...where, '-batch', '-'], { input: `${lines.join('\n')}\n`, deadlineMs });
}

/** Runs every line of `ip -batch`, whether an earlier one failed or not; for removal, where what is missing is well. */
export async function ipForce(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await tryCommand('ip', ['-force', '-batch', '-'], { input: `${lines.join('\n')}\n`, deadlineMs });
}

/** The answer of an `ip -json` query. */
export async function ipQuery(args: readonly string[]): Promise<unknown[]> {
  const text = await runCommand('ip', ['-json', ...args], { deadlineMs });
  const answer: unknown = text.trim() === '' ? [] : JSON.parse(text);
  return Array.isArray(answer) ? answer : [];
}

/** Applies nftables rules as one transaction. */
export async function applyRules(rules: string): Promise<void> {
  await runCommand('nft', ['-f', '-'], { input: rules, deadlineMs });
}
