import test from 'ava';
import fc from 'fast-check';
import { pattern, small, smallTuple, template } from '../test/arbitrary.ts';
import { equalValues, templateMatches } from '../test/oracle.ts';
import {
  compileTemplate,
  encodeTemplate,
  encodeTuple,
  encodeValue,
  equalStored,
  FieldOffsets,
  hashOfPattern,
  hashOfTuple,
  MATCHES,
  MISSES_ARITY,
  matchTuple,
  missOf,
  sameNumber,
  shapeOf,
  Template,
  type TemplateSpec,
} from './index.ts';

function compiled(source: TemplateSpec): Template {
  const result = compileTemplate(encodeTemplate(source));
  if (result instanceof Template) return result;
  throw new Error(`${result.reason} ${result.field} ${result.message}`);
}

test('§2 a template matches stored bytes as the plain matcher matches values', (t) => {
  const offsets = new FieldOffsets();
  let matched = 0;
  const property = fc.property(
    template,
    fc.array(smallTuple, { minLength: 8, maxLength: 8 }),
    (source, tuples) => {
      const ready = compiled(source);
      for (const tuple of tuples) {
        const bytes = encodeTuple(tuple);
        const isMatch = matchTuple(ready, bytes, offsets.scan(bytes));
        if (isMatch) matched += 1;
        if (isMatch !== templateMatches(source, tuple)) return false;
      }
      return true;
    },
  );
  fc.assert(property, { numRuns: 4_000 });
  t.true(matched > 2_000, `only ${matched} matches were seen`);
});

test('§1 equality of stored bytes is equality of values', (t) => {
  let equal = 0;
  const property = fc.property(small, small, (a, b) => {
    const x = encodeValue(a);
    const y = encodeValue(b);
    const isEqual = equalStored(x, 0, x.length, y, 0, y.length);
    if (isEqual) equal += 1;
    return isEqual === equalValues(a, b);
  });
  fc.assert(property, { numRuns: 20_000 });
  t.true(equal > 200, `only ${equal} equal pairs were seen`);
});

test('§1 numbers of both forms are the same where their mathematical values are [1.4, 1.5]', (t) => {
  t.true(sameNumber(Number.NaN, Number.NaN));
  t.true(sameNumber(-0, 0) && sameNumber(2n ** 53n, 2 ** 53));
  t.false(sameNumber(2n ** 53n + 1n, 2 ** 53) || sameNumber(Number.NaN, 0) || sameNumber(1, 2));
});

test('a tuple that an alternative matches has the hash of its shape', (t) => {
  const offsets = new FieldOffsets();
  let matched = 0;
  const property = fc.property(
    pattern,
    fc.array(smallTuple, { minLength: 8, maxLength: 8 }),
    (source, tuples) => {
      const [alternative] = compiled([source]).alternatives;
      if (alternative === undefined) return false;
      const shape = shapeOf(alternative);
      return tuples.every((tuple) => {
        const bytes = encodeTuple(tuple);
        offsets.scan(bytes);
        if (missOf(alternative, bytes, offsets) !== MATCHES) return true;
        matched += 1;
        return hashOfTuple(bytes, offsets, shape) === hashOfPattern(alternative, shape);
      });
    },
  );
  fc.assert(property, { numRuns: 4_000 });
  t.true(matched > 1_000, `only ${matched} matches were seen`);
});

test('a miss names the first field that fails, or the arity', (t) => {
  const [alternative] = compiled([
    {
      matchers: [
        { kind: 'actual', value: 'a' },
        { kind: 'actual', value: 1 },
      ],
    },
  ]).alternatives;
  if (alternative === undefined) return t.fail();
  const miss = (...fields: (string | number)[]): number => {
    const bytes = encodeTuple(fields);
    return missOf(alternative, bytes, new FieldOffsets().scan(bytes));
  };
  t.is(miss('a', 1), MATCHES);
  t.is(miss('a', 2), 1);
  t.is(miss('b', 2), 0);
  t.is(miss('a'), MISSES_ARITY);
  t.is(miss('a', 1, 1), MISSES_ARITY);
});
