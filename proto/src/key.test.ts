import test from 'ava';
import fc from 'fast-check';
import { int, scalar, small, tuple, value } from '../test/arbitrary.ts';
import { compareValues } from '../test/oracle.ts';
import {
  compareBytes,
  decodeTuple,
  encodeTuple,
  floatOf,
  intOf,
  isCanonicalTuple,
  keyOf,
  numberOf,
  type Value,
} from './index.ts';

function keyOrder(a: Value, b: Value): number {
  const x = keyOf(a);
  const y = keyOf(b);
  return Math.sign(compareBytes(x, 0, x.length, y, 0, y.length));
}

for (const [name, arbitrary] of Object.entries({ scalar, small, value })) {
  test(`§1 the byte order of keys is the order of values: ${name} [1.12, 1.14]`, (t) => {
    const property = fc.property(
      arbitrary,
      arbitrary,
      (a, b) => keyOrder(a, b) === compareValues(a, b),
    );
    fc.assert(property, { numRuns: 15_000 });
    t.pass();
  });
}

test('§1 ints beyond 2^53 sort between the doubles around them [1.4, 1.14]', (t) => {
  const near = fc.tuple(int, fc.bigInt(-1_100n, 1_100n), fc.boolean());
  let kept = 0;
  const property = fc.property(near, ([start, distance, asFloat]) => {
    const a = BigInt(numberOf(start) ?? 0);
    const b = BigInt.asIntN(64, a + distance);
    const other = asFloat ? floatOf(Number(b)) : intOf(b);
    if (a !== b) kept += 1;
    return keyOrder(intOf(a), other) === compareValues(intOf(a), other);
  });
  fc.assert(property, { numRuns: 15_000 });
  t.true(kept > 10_000);
});

test('§1 no key is the beginning of another', (t) => {
  const property = fc.property(small, small, (a, b) => {
    const x = keyOf(a);
    const y = keyOf(b);
    const isPrefix = x.length < y.length && compareBytes(x, 0, x.length, y, 0, x.length) === 0;
    return !isPrefix;
  });
  fc.assert(property, { numRuns: 15_000 });
  t.pass();
});

test('§1 a tuple decodes to what was encoded, and its bytes are canonical', (t) => {
  const property = fc.property(tuple, (fields) => {
    const bytes = encodeTuple(fields);
    t.deepEqual(encodeTuple(decodeTuple(bytes)), bytes);
    return isCanonicalTuple(bytes) && compareValues(fields, decodeTuple(bytes)) === 0;
  });
  fc.assert(property, { numRuns: 5_000 });
  t.pass();
});
