/**
 * The language in which the command line says tuples and templates:
 *
 *   job,42,"two words",2.5,true,null,0x00ff,@2026-01-31T12:00:00Z,[1,[2]],{k: v}
 *   job,?int,*,>=2,1..5,^pre,a|b,!done,[*,...],{k: ?string},...
 *
 * Bare words are strings. A template may have several patterns, separated by `;`.
 */
import { type Pattern, type Template, t, type Writable } from '@tuplet/client';
import { parsePattern } from './matcher.ts';
import { Scanner } from './scanner.ts';
import { parseValue } from './value.ts';

export { LanguageError } from './scanner.ts';

/** `t.union` for patterns that are known only at run time. */
const unionOf: (...patterns: readonly Pattern[]) => Template = t.union;

/** The fields of one tuple. Throws LanguageError. */
export function parseTuple(text: string): readonly Writable[] {
  const scanner = new Scanner(text);
  const fields: Writable[] = [];
  do fields.push(parseValue(scanner));
  while (scanner.accept(','));
  if (!scanner.ended) scanner.fail('expected , between two fields');
  return fields;
}

/** A template: one or more patterns. Throws LanguageError. */
export function parseTemplate(text: string): Template {
  const scanner = new Scanner(text);
  const patterns: Pattern[] = [];
  do patterns.push(parsePattern(scanner, '', 0));
  while (scanner.accept(';'));
  if (!scanner.ended) scanner.fail('expected , between two fields');
  const [only] = patterns;
  return patterns.length === 1 && only !== undefined ? only : unionOf(...patterns);
}
