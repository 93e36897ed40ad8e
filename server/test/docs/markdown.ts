/** Small pieces of Markdown that the generated pages share. */

/** A text as the cell of a table: in one line, which no bar ends; emphasis and code stay. */
export function cell(text: string): string {
  return text.replaceAll('\n', ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

/** A row of a table. */
export function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** A table's first two lines. */
export function tableHead(...names: readonly string[]): string[] {
  return [row(...names), row(...names.map(() => '---'))];
}
