import test from 'ava';
import fc from 'fast-check';
import { NumberMap } from './number-map.ts';

const keyOf = fc.oneof(
  fc.nat(40),
  // Steps of powers of two, and ids whose upper half says where they belong.
  fc.tuple(fc.nat(20), fc.constantFrom(2 ** 8, 2 ** 20, 2 ** 32, 2 ** 44)).map(([a, b]) => a * b),
  fc.maxSafeNat(),
);

const step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key: keyOf, value: fc.nat() }),
  fc.record({ kind: fc.constant('delete' as const), key: keyOf, value: fc.constant(0) }),
);

test('a map of numbers does what Map does, and lists its keys in order', (t) => {
  const runs = fc.array(step, { maxLength: 300 });
  fc.assert(
    fc.property(runs, (steps) => {
      const map = new NumberMap<number>();
      const model = new Map<number, number>();
      for (const { kind, key, value } of steps) {
        if (kind === 'delete') t.is(map.delete(key), model.delete(key));
        else {
          map.set(key, value);
          model.set(key, value);
        }
        t.is(map.get(key), model.get(key));
        t.is(map.has(key), model.has(key));
        t.is(map.size, model.size);
      }
      const keys = [...model.keys()].sort((a, b) => a - b);
      t.deepEqual(map.keys(), keys);
      t.deepEqual(
        map.values(),
        keys.map((key) => model.get(key)),
      );
    }),
    { numRuns: 500 },
  );
});

test('a map of numbers holds a window that moves for ever, and what is left of a crowd', (t) => {
  const map = new NumberMap<{ readonly key: number }>();
  for (let key = 0; key < 20_000; key += 1) {
    map.set(key, { key });
    if (key >= 1_000) t.true(map.delete(key - 1_000));
  }
  t.is(map.size, 1_000);
  for (let key = 19_000; key < 19_990; key += 1) map.delete(key);
  t.deepEqual(
    map.keys(),
    [19_990, 19_991, 19_992, 19_993, 19_994, 19_995, 19_996, 19_997, 19_998, 19_999],
  );
  for (const key of map.keys()) t.is(map.get(key)?.key, key);
  map.clear();
  t.is(map.size, 0);
  t.false(map.has(19_999));
});

test('a large map of numbers finds everything at five eighths full, and after deletions', (t) => {
  for (const stepOfKeys of [1, 2 ** 20, 2 ** 32 + 1]) {
    const map = new NumberMap<number>();
    const model = new Map<number, number>();
    // 20,480 entries fill five eighths of 32,768 cells; every third goes again.
    for (let i = 0; i < 20_480; i += 1) {
      map.set(i * stepOfKeys, i);
      model.set(i * stepOfKeys, i);
    }
    for (let i = 0; i < 20_480; i += 3) {
      t.true(map.delete(i * stepOfKeys));
      model.delete(i * stepOfKeys);
    }
    t.is(map.size, model.size);
    for (let i = 0; i < 30_000; i += 1)
      if (map.get(i * stepOfKeys) !== model.get(i * stepOfKeys)) t.fail(`key ${i * stepOfKeys}`);
  }
});
