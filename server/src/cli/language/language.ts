/**
 * The language in which the command line says tuples and templates:
 *
 *   job,42,"two words",2.5,true,null,0x00ff,@2026-01-31T12:00:00Z,[1,[2]],{k: v}
 *   job,?int,*,>=2,1..5,^pre,a|b,!done,[*,...],{k: ?string},...
 *
 * Bare words are strings. A template may have several patterns, separated by `;`.
 */
import type { PatternSpec, TemplateSpec, Value } from '@tuplet/proto';
import { parsePattern } from './matcher.ts';
import { Scanner } from './scanner.ts';
import { parseValue } from './value.ts';

export { LanguageError } from './scanner.ts';

/** The fields of one tuple. Throws LanguageError. */
export function parseTuple(text: string): readonly Value[] {
  const scanner = new Scanner(text);
  const fields: Value[] = [];
  do fields.push(parseValue(scanner));
  while (scanner.accept(','));
  if (!scanner.ended) scanner.fail('expected , between two fields');
  return fields;
}

/** A template: one or more patterns. Throws LanguageError. */
export function parseTemplate(text: string): TemplateSpec {
  const scanner = new Scanner(text);
  const patterns: PatternSpec[] = [];
  do patterns.push(parsePattern(scanner, '', 0));
  while (scanner.accept(';'));
  if (!scanner.ended) scanner.fail('expected , between two fields');
  return patterns;
}
