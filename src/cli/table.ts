/** Tables of text: columns as wide as their widest cell, two spaces between them. */

// A cell that is longer pushes what follows it in its own line alone.
const WIDEST = 60;

/** Lays out rows under a head; every line ends with a line feed. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widthsOf = (column: number): readonly number[] => lines.map((cells) => cells[column]?.length ?? 0);
  const widths = head.map((_, column) => Math.max(...widthsOf(column).filter((width) => width <= WIDEST)));
  return lines.map((cells) => `${layOut(cells, widths)}\n`).join('');
}

function layOut(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}
