/** One argument of a directive: `key`, `key=value` or `key=(a,b c)`. */
export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

/** One directive of a case file: what to do, and what then is to be printed. */
export interface Directive {
  readonly line: number;
  readonly command: string;
  readonly args: readonly Argument[];
  /** Lines between the directive and `----`. */
  readonly input: readonly string[];
  readonly expected: string;
}

/** The directives of a case file in the format of cockroachdb/datadriven. */
export function parseCases(text: string): Directive[] {
  const lines = text.split('\n');
  const directives: Directive[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const from = at + 1;
    const separator = lines.indexOf('----', at);
    if (separator < 0) throw new Error(`line ${from}: no ---- follows`);
    const doubled = lines[separator + 1] === '----';
    let end = separator + 1;
    if (doubled) {
      while (lines[end + 1] !== '----' || lines[end + 2] !== '----') end += 1;
      end += 1;
    } else {
      while (end < lines.length && (lines[end] ?? '').trim() !== '') end += 1;
    }
    const expected = lines.slice(separator + (doubled ? 2 : 1), end);
    directives.push({
      line: from,
      ...parseCommand(line),
      input: lines.slice(at + 1, separator),
      expected: expected.join('\n'),
    });
    at = doubled ? end + 1 : end;
  }
  return directives;
}

/** Splits a command from its arguments; parentheses hold values with spaces. */
export function parseCommand(line: string): { command: string; args: Argument[] } {
  const words = line.trim().match(/(?:[^\s(]|\([^)]*\))+/g) ?? [];
  const [command = '', ...rest] = words;
  return { command, args: rest.map(parseArgument) };
}

function parseArgument(word: string): Argument {
  const equals = word.indexOf('=');
  if (equals < 0) return { key: word, values: [] };
  const value = word.slice(equals + 1);
  const list = /^\((.*)\)$/.exec(value)?.[1];
  const values = list === undefined ? [value] : list.split(/[\s,]+/).filter((item) => item !== '');
  return { key: word.slice(0, equals), values };
}
