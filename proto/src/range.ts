import { byteAt, type Run } from './bytes.ts';
import { refuse, within } from './problem.ts';
import { numberAt, StoredTag } from './stored.ts';
import type { CompiledMatcher } from './template.ts';
import type { RangeFamily } from './template-spec.ts';
import { Kind } from './value.ts';

/** One end of a range, read. */
export interface CompiledBound {
  readonly value: Run;
  readonly exclusive: boolean;
}

/** The family of a bound: int and float mean number. Kinds that have no ranges: undefined. */
const familyOfTag: ReadonlyMap<number, RangeFamily> = new Map([
  [StoredTag.INT, Kind.NUMBER],
  [StoredTag.FLOAT, Kind.NUMBER],
  [StoredTag.STRING, Kind.STRING],
  [StoredTag.BYTES, Kind.BYTES],
  [StoredTag.TIMESTAMP, Kind.TIMESTAMP],
] as const);

const tagOfFamily: ReadonlyMap<number, number> = new Map([
  [Kind.STRING, StoredTag.STRING],
  [Kind.BYTES, StoredTag.BYTES],
  [Kind.TIMESTAMP, StoredTag.TIMESTAMP],
] as const);

/** Holds a range to its rules: one family for all, and no NaN. `named` is 0 where the range names none. */
export function compileRange(
  named: number,
  lower: CompiledBound | null,
  upper: CompiledBound | null,
): CompiledMatcher {
  const below = lower === null ? undefined : familyOfBound(lower, '.lower');
  const above = upper === null ? undefined : familyOfBound(upper, '.upper');
  const implied = below ?? above;
  if (above !== undefined && above !== implied) {
    throw refuse('RANGE_FAMILY', 'bounds are of different families');
  }
  const family = named === 0 ? implied : (named as RangeFamily);
  if (family === undefined) throw refuse('RANGE_FAMILY', 'range names neither family nor bound');
  const isNumeric = family === Kind.INT || family === Kind.FLOAT || family === Kind.NUMBER;
  const tag = tagOfFamily.get(family);
  if (!isNumeric && tag === undefined)
    throw refuse('RANGE_FAMILY', 'family has no order to range over');
  if (implied !== undefined && implied !== (isNumeric ? Kind.NUMBER : family)) {
    throw refuse('RANGE_FAMILY', 'bounds are outside the family');
  }
  const lowerExclusive = lower?.exclusive === true;
  const upperExclusive = upper?.exclusive === true;
  if (tag === undefined) {
    return {
      kind: 'number-range',
      family,
      lower: lower === null ? Number.NEGATIVE_INFINITY : numberOfRun(lower.value),
      lowerExclusive,
      upper: upper === null ? Number.POSITIVE_INFINITY : numberOfRun(upper.value),
      upperExclusive,
    };
  }
  return {
    kind: 'octet-range',
    tag,
    lower: lower === null ? null : lower.value,
    lowerExclusive,
    upper: upper === null ? null : upper.value,
    upperExclusive,
  };
}

function familyOfBound(bound: CompiledBound, place: string): RangeFamily {
  const { bytes, start } = bound.value;
  const family = familyOfTag.get(byteAt(bytes, start));
  if (family === undefined) {
    throw within(refuse('RANGE_BOUND', 'bound is of a kind that has no ranges'), place);
  }
  if (family === Kind.NUMBER && Number.isNaN(numberAt(bytes, start))) {
    throw within(refuse('RANGE_BOUND', 'bound is NaN, which is in no range'), place);
  }
  return family;
}

function numberOfRun(run: Run): number | bigint {
  return numberAt(run.bytes, run.start);
}
