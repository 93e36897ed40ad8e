import type { Run } from './bytes.ts';
import type { FieldOffsets } from './fields.ts';
import { hash32 } from './hash.ts';
import { KEY_END, writeFieldKey, writeKey } from './key.ts';
import type { CompiledMatcher, CompiledPattern } from './template.ts';
import { Writer } from './wire.ts';

const shared = new Writer(1_024);

/** The value that a matcher fixes: an actual value, or `any_of` whose values are all equal. */
export function fixedValue(matcher: CompiledMatcher | undefined): Run | null {
  if (matcher?.kind === 'actual') return matcher.value;
  return matcher?.kind === 'any-of' ? matcher.only : null;
}

/** The fields, ascending from 0, that an alternative fixes to one value: the *shape* indexes go by. */
export function shapeOf(pattern: CompiledPattern): readonly number[] {
  const shape: number[] = [];
  for (let i = 0; i < pattern.matchers.length; i += 1) {
    if (fixedValue(pattern.matchers[i]) !== null) shape.push(i);
  }
  return shape;
}

/**
 * The hash of some fields of a canonical tuple: the low 32 bits of H of their keys one after another,
 * a missing field counting as a 0. Equal values hash alike, so that it meets `hashOfPattern`.
 */
export function hashOfTuple(
  tuple: Uint8Array,
  offsets: FieldOffsets,
  fields: readonly number[],
): number {
  shared.reset();
  for (let i = 0; i < fields.length; i += 1) {
    writeFieldKey(shared, tuple, offsets, fields[i] as number);
  }
  return hash32(shared.bytes, 0, shared.position);
}

/**
 * The hash that every tuple has which an alternative matches, over `fields`, each of which it fixes
 * (a subset of its shape); a field that it does not fix counts as missing.
 */
export function hashOfPattern(pattern: CompiledPattern, fields: readonly number[]): number {
  shared.reset();
  for (let i = 0; i < fields.length; i += 1) {
    const fixed = fixedValue(pattern.matchers[fields[i] as number]);
    if (fixed === null) shared.byte(KEY_END);
    else writeKey(shared, fixed.bytes, fixed.start, fixed.end);
  }
  return hash32(shared.bytes, 0, shared.position);
}
