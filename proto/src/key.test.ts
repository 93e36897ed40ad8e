import test from 'ava';
import fc from 'fast-check';
import { scalar, small, tuple, value } from '../test/arbitrary.ts';
import { compareValues } from '../test/oracle.ts';
import {
  compareBytes,
  decodeTuple,
  encodeTuple,
  isCanonicalTuple,
  keyOf,
  type Value,
} from './index.ts';

function keyOrder(a: Value, b: Value): number {
  const x = keyOf(a);
  const y = keyOf(b);
  return Math.sign(compareBytes(x, 0, x.length, y, 0, y.length));
}

for (const [name, arbitrary] of Object.entries({ scalar, small, value })) {
  test(`§1 the byte order of keys is the order of values: ${name}`, (t) => {
    const property = fc.property(
      arbitrary,
      arbitrary,
      (a, b) => keyOrder(a, b) === compareValues(a, b),
    );
    fc.assert(property, { numRuns: 15_000 });
    t.pass();
  });
}

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
