import type { Finding, Verdict } from './finding.ts';

const colours: Record<Verdict, number> = { pass: 32, warn: 33, fail: 31 };

/** The findings for a person: a line each, with the remedy below where there is one, and a last line that sums up. */
export function findingsAsText(findings: readonly Finding[], coloured: boolean): string {
  const lines: string[] = [];
  for (const { need, verdict, found, remedy } of findings) {
    const mark = coloured ? `\u001b[${colours[verdict]}m${verdict}\u001b[0m` : verdict;
    lines.push(`${mark}  ${need.padEnd(17)} ${found}`);
    if (remedy !== undefined) lines.push(`${' '.repeat(6)}${' '.repeat(18)}→ ${remedy}`);
  }
  const count = (verdict: Verdict): number => findings.filter((finding) => finding.verdict === verdict).length;
  const verdict = count('fail') > 0 ? 'Skerry does not run here until the failed needs are met.' : 'Skerry runs here.';
  lines.push('', `${verdict} ${count('pass')} pass, ${count('warn')} warn, ${count('fail')} fail.`);
  return `${lines.join('\n')}\n`;
}
