/** What the compiler says of templates; the test run itself only has to load this file. */
import test from 'ava';
import { expectTypeOf } from 'expect-type';
import {
  float,
  type MatchedTuple,
  type Space,
  type Subscription,
  type Timestamp,
  t,
} from './index.ts';

declare const space: Space;

/** Never called: its types are what is tested. */
async function calls(): Promise<void> {
  expectTypeOf(await space.take(['job', t.int, t.any])).toEqualTypeOf<['job', number, unknown]>();
  expectTypeOf(await space.take(['job', t.int], { waitMs: 5 })).toEqualTypeOf<
    ['job', number] | undefined
  >();
  expectTypeOf(await space.takeIfExists([t.string])).toEqualTypeOf<[string] | undefined>();
  expectTypeOf(await space.read([1, true, null, t.rest])).toEqualTypeOf<
    [1, true, null, ...unknown[]]
  >();
  expectTypeOf(await space.takeMany(['a', t.bytes])).toEqualTypeOf<['a', Uint8Array][]>();
  const union = t.union(['a', t.int], ['b', t.string, t.bool]);
  expectTypeOf(await space.take(union)).toEqualTypeOf<['a', number] | ['b', string, boolean]>();
  expectTypeOf(await space.increment(['counter', 5], 1)).toEqualTypeOf<
    ['counter', number] | undefined
  >();
  expectTypeOf(space.notify(['a', t.int])).toEqualTypeOf<Subscription<['a', number]>>();
  expectTypeOf(space.notify()).toEqualTypeOf<Subscription<unknown[]>>();
  const replaced = await space.replace(['a', t.int], ['a', 2]);
  expectTypeOf(replaced?.replaced).toEqualTypeOf<['a', number] | undefined>();
  // @ts-expect-error a Map is no value
  await space.write(['a', new Map()]);
  // @ts-expect-error undefined is no value
  await space.write(['a', undefined]);
  // @ts-expect-error a matcher is not written
  await space.write(['a', t.int]);
  // @ts-expect-error bounds of two kinds
  t.between(1, 'b');
}

test('types follow from templates [1.17]', (tt) => {
  tt.is(typeof calls, 'function');
  expectTypeOf<
    MatchedTuple<readonly [typeof t.bigint, typeof t.number, typeof t.float]>
  >().toEqualTypeOf<[bigint, number, number]>();
  expectTypeOf<
    MatchedTuple<readonly [typeof t.timestamp, typeof t.null, typeof t.bool]>
  >().toEqualTypeOf<[Timestamp, null, boolean]>();
  const matcher = t.list('a', t.int, t.rest);
  expectTypeOf<MatchedTuple<[typeof matcher]>>().toEqualTypeOf<[['a', number, ...unknown[]]]>();
  const record = t.record({ kind: 'x', size: t.int });
  expectTypeOf<MatchedTuple<[typeof record]>[0]['size']>().toEqualTypeOf<number>();
  expectTypeOf<MatchedTuple<[typeof record]>[0]['kind']>().toEqualTypeOf<'x'>();
  const ranges = [t.atLeast(1), t.lessThan(2n), t.between('a', 'b'), t.atMost(float(1))] as const;
  expectTypeOf<MatchedTuple<typeof ranges>>().toEqualTypeOf<[number, bigint, string, number]>();
  const one = t.oneOf('red', 'green', 3);
  expectTypeOf<MatchedTuple<[typeof one]>>().toEqualTypeOf<['red' | 'green' | 3]>();
  const dated = [new Date(), float(1), t.not(1)] as const;
  expectTypeOf<MatchedTuple<typeof dated>>().toEqualTypeOf<[Timestamp, number, unknown]>();
});
