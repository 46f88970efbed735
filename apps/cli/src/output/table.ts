// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character begins a colour.
const colours = /\x1b\[[0-9;]*m/g;

/** Lines of a table: columns as wide as their widest cell, two spaces between, nothing trailing. */
export function tableLines(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ''))));
  return all.map((row) =>
    header
      .map((_, column) => {
        const cell = row[column] ?? '';
        return cell + ' '.repeat((widths[column] ?? 0) - width(cell));
      })
      .join('  ')
      .trimEnd(),
  );
}

function width(text: string): number {
  return Array.from(text.replace(colours, '')).length;
}
