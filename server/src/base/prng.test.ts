import test from 'ava';
import { Prng } from './prng.ts';

test('a seed gives the same numbers everywhere', (t) => {
  const prng = new Prng(42);
  t.deepEqual(
    [prng.uint32(), prng.uint32(), prng.uint32()],
    [959_770_912, 325_135_272, 45_523_349],
  );
});

test('seeds and labels give different streams', (t) => {
  const first = (seed: number, label: string): number => new Prng(seed, label).uint32();
  const streams = new Set([first(1, ''), first(2, ''), first(2 ** 32 + 1, ''), first(1, 'disk')]);
  t.is(streams.size, 4);
});

test('a fork does not depend on how far its parent is', (t) => {
  const early = new Prng(7);
  const late = new Prng(7);
  for (let step = 0; step < 100; step++) late.uint32();
  t.is(early.fork('network').uint32(), late.fork('network').uint32());
});

test('below reaches every value about equally often', (t) => {
  const prng = new Prng(3);
  const seen = new Array<number>(10).fill(0);
  for (let step = 0; step < 10_000; step++) {
    const value = prng.below(10);
    seen[value] = (seen[value] ?? 0) + 1;
  }
  t.true(seen.every((count) => count > 850 && count < 1150));
});

test('between includes both ends and chance keeps its rate', (t) => {
  const prng = new Prng(5);
  const values = new Set<number>();
  let hits = 0;
  for (let step = 0; step < 1000; step++) {
    values.add(prng.between(-1, 1));
    if (prng.chance(1, 4)) hits++;
  }
  t.deepEqual([...values].sort(), [-1, 0, 1]);
  t.true(hits > 200 && hits < 300);
});
