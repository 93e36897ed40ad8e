import { FieldOffsets, Float, Kind, type MatcherSpec, matchTuple, type Value } from '@tuplet/proto';
import test from 'ava';
import { Prng } from '../base/prng.ts';
import { any, newTuple, range, union } from './testing-bed.ts';
import { kindsOfPattern, kindsOfTuple } from './waiting-kinds.ts';

const offsets = new FieldOffsets();
const values: readonly Value[] = [
  null,
  true,
  7,
  new Float(7),
  Number.NaN,
  'a',
  new Uint8Array([1]),
  [1, 2],
  new Map<string, Value>([['k', 1]]),
];
const matchers: readonly MatcherSpec[] = [
  any,
  ...Object.values(Kind).map((formal): MatcherSpec => ({ kind: 'formal', formal })),
  ...values.map((value): MatcherSpec => ({ kind: 'actual', value })),
  range(1, 9),
  { kind: 'range', lower: { value: 'a' } },
  { kind: 'prefix', prefix: '' },
  { kind: 'any-of', values: [7, 'a'] },
  { kind: 'list', pattern: { matchers: [], rest: true } },
  { kind: 'record', entries: new Map() },
];

/** Whether the kinds let a tuple through, and whether it matches. */
function look(of: readonly MatcherSpec[], fields: readonly Value[], rest: boolean) {
  const { alternatives } = union([[...of]]);
  const pattern = { matchers: alternatives[0]?.matchers ?? [], rest };
  const { bytes } = newTuple(...fields);
  offsets.scan(bytes);
  const admitted = (kindsOfTuple(bytes, offsets) & ~kindsOfPattern(pattern)) === 0;
  const template = Object.create(union([[any]]), { alternatives: { value: [pattern] } });
  return { admitted, matched: matchTuple(template, bytes, offsets) };
}

test('a tuple that a pattern matches is let through by its kinds, whatever the matcher', (t) => {
  for (const inner of matchers) {
    for (const matcher of [inner, { kind: 'negation', matcher: inner } as const]) {
      for (const value of values) {
        for (let at = 0; at < 4; at += 1) {
          const of = Array.from({ length: at + 1 }, (_, i) => (i === at ? matcher : any));
          const fields = Array.from({ length: at + 1 }, (_, i) => (i === at ? value : 1));
          const { admitted, matched } = look(of, fields, false);
          t.true(admitted || !matched, `${JSON.stringify(matcher)} at ${at}`);
        }
      }
    }
  }
});

test('so it is with any number of fields, with and without more behind', (t) => {
  const prng = new Prng(1, 'kinds');
  let matched = 0;
  let kept = 0;
  for (let round = 0; round < 4_000; round += 1) {
    const of = Array.from({ length: prng.between(1, 6) }, () => prng.pick(matchers));
    const fields = Array.from({ length: prng.between(1, 6) }, () => prng.pick(values));
    const seen = look(prng.chance(1, 2) ? of.map(() => any) : of, fields, prng.chance(1, 2));
    t.true(seen.admitted || !seen.matched);
    if (seen.matched) matched += 1;
    if (!seen.admitted) kept += 1;
  }
  t.true(matched > 200 && kept > 1_000, `${matched} matched, ${kept} kept away`);
});

test('kinds keep away what a formal, a range, a prefix, a negated formal or the arity refuses', (t) => {
  const refused: readonly (readonly [MatcherSpec, Value])[] = [
    [{ kind: 'formal', formal: Kind.INT }, new Float(7)],
    [{ kind: 'formal', formal: Kind.NUMBER }, 'a'],
    [range(1, 9), 'a'],
    [{ kind: 'prefix', prefix: 'a' }, 7],
    [{ kind: 'negation', matcher: { kind: 'formal', formal: Kind.STRING } }, 'a'],
    [{ kind: 'negation', matcher: any }, 7],
  ];
  for (const [matcher, value] of refused)
    t.false(look([any, matcher], [1, value], false).admitted, JSON.stringify(matcher));
  t.false(look([any, any], [1, 2, 3], false).admitted);
  t.false(look([any, any, any], [1, 2], true).admitted);
});
