import test from 'ava';
import fc from 'fast-check';
import { small, smallTuple, template } from '../test/arbitrary.ts';
import {
  checkRouting,
  compileTemplate,
  encodeTemplate,
  encodeTuple,
  FieldOffsets,
  Float,
  hash64,
  Kind,
  keyOf,
  limits,
  type MatcherSpec,
  matchTuple,
  partitionOfSlot,
  Routing,
  type RoutingRule,
  type SlotsOfTemplate,
  Template,
  type TemplateSpec,
  type Value,
} from './index.ts';

const rules: readonly RoutingRule[] = [
  { tag: 'a', spread: 7, fields: [1] },
  { tag: 1, spread: 4_096, fields: [2, 1] },
];
const routing = new Routing('jobs', rules);
const offsets = new FieldOffsets();

function slotOf(fields: readonly Value[], by: Routing = routing): number {
  const bytes = encodeTuple(fields);
  return by.slotOfTuple(bytes, offsets.scan(bytes));
}

function slotsOf(source: TemplateSpec, by: Routing = routing): SlotsOfTemplate {
  const result = compileTemplate(encodeTemplate(source));
  if (result instanceof Template) return by.slotsOfTemplate(result);
  throw new Error(result.message);
}

const actual = (value: Value): MatcherSpec => ({ kind: 'actual', value });
const any: MatcherSpec = { kind: 'any' };

/** SPEC §6 with BigInt and arrays. */
function plainSlot(name: string, bucket: number, tag: Value): number {
  const input = [...keyOf(name), ...keyOf(tag), bucket >> 8, bucket & 255];
  return Number(hash64(Uint8Array.from(input)) % 4_096n);
}

function plainBucket(values: readonly (Value | undefined)[], spread: number): number {
  const input = values.flatMap((value) => (value === undefined ? [0] : [...keyOf(value)]));
  return Number(hash64(Uint8Array.from(input)) % BigInt(spread));
}

test('§6 a tuple without a rule goes by its tag, and equal tags share a slot [6.2, 6.4]', (t) => {
  t.is(slotOf(['b', 1]), plainSlot('jobs', 0, 'b'));
  t.is(slotOf(['b', 1]), slotOf(['b', 2, 3]));
  t.is(slotOf([2, 'x']), slotOf([new Float(2)]));
});

test('§6 a rule spreads a tag by its fields, a missing one as a zero byte [6.3, 6.4]', (t) => {
  t.is(slotOf(['a', 5]), plainSlot('jobs', plainBucket([5], 7), 'a'));
  t.is(slotOf(['a']), plainSlot('jobs', plainBucket([undefined], 7), 'a'));
  t.is(slotOf([new Float(1), 'x', 'y']), plainSlot('jobs', plainBucket(['y', 'x'], 4_096), 1));
  const slots = new Set(Array.from({ length: 200 }, (_, i) => slotOf(['a', i])));
  t.is(slots.size, 7);
});

test('§6 another routing name gives other slots, the same name the same [6.5]', (t) => {
  const tags = Array.from({ length: 50 }, (_, i) => [`tag-${i}`]);
  const here = tags.map((tag) => slotOf(tag));
  t.deepEqual(
    tags.map((tag) => slotOf(tag, new Routing('jobs', []))),
    here,
  );
  t.notDeepEqual(
    tags.map((tag) => slotOf(tag, new Routing('other', []))),
    here,
  );
});

test('§6 a template is pinned by actual values, or in of one, in every hashed field [6.8]', (t) => {
  const pinned = { kind: 'pinned', slot: slotOf(['a', 5]) } as const;
  t.deepEqual(slotsOf([{ matchers: [actual('a'), actual(5)], rest: true }]), pinned);
  const one: MatcherSpec = { kind: 'any-of', values: [5, new Float(5)] };
  t.deepEqual(slotsOf([{ matchers: [actual('a'), one] }]), pinned);
  const two: MatcherSpec = { kind: 'any-of', values: [5, 6] };
  t.is(slotsOf([{ matchers: [actual('a'), two] }]).kind, 'slots');
  t.deepEqual(slotsOf([{ matchers: [actual('a')] }]), { kind: 'pinned', slot: slotOf(['a']) });
});

test('§6 not, range, prefix, any and formal never pin [6.9]', (t) => {
  const open: readonly MatcherSpec[] = [
    any,
    { kind: 'formal', formal: Kind.NULL },
    { kind: 'negation', matcher: { kind: 'negation', matcher: actual(5) } },
    { kind: 'range', lower: { value: 5 }, upper: { value: 5 } },
    { kind: 'prefix', prefix: 'x' },
  ];
  for (const matcher of open) {
    t.deepEqual(slotsOf([{ matchers: [matcher] }]), { kind: 'all' });
    const spread = slotsOf([{ matchers: [actual('a'), matcher] }]);
    const slots = Array.from({ length: 7 }, (_, bucket) => plainSlot('jobs', bucket, 'a'));
    t.deepEqual(spread, { kind: 'slots', slots: [...new Set(slots)].sort((a, b) => a - b) });
  }
  t.deepEqual(slotsOf([{ matchers: [], rest: true }]), { kind: 'all' });
});

test('§6 alternatives pin only where all give the same slot [6.8]', (t) => {
  const a = { matchers: [actual('a'), actual(5)] };
  const twice = slotsOf([a, { ...a, rest: true }]);
  t.deepEqual(twice, { kind: 'pinned', slot: slotOf(['a', 5]) });
  const slots = [slotOf(['a', 5]), slotOf(['b'])].sort((x, y) => x - y);
  t.deepEqual(slotsOf([a, { matchers: [actual('b')] }]), { kind: 'slots', slots });
  const tags: MatcherSpec = { kind: 'any-of', values: ['b', 'c'] };
  const both = [slotOf(['b']), slotOf(['c'])].sort((x, y) => x - y);
  t.deepEqual(slotsOf([{ matchers: [tags] }]), { kind: 'slots', slots: both });
});

test('§6 tags that meet in one slot pin together [6.8]', (t) => {
  const bySlot = new Map<number, string>();
  let found: readonly [string, string] | undefined;
  for (let i = 0; found === undefined && i < 1_000; i += 1) {
    const slot = slotOf([`t${i}`]);
    const other = bySlot.get(slot);
    if (other !== undefined) found = [other, `t${i}`];
    bySlot.set(slot, `t${i}`);
  }
  if (found === undefined) return t.fail('no two of 1,000 tags share a slot');
  const tags: MatcherSpec = { kind: 'any-of', values: found };
  t.deepEqual(slotsOf([{ matchers: [tags] }]), { kind: 'pinned', slot: slotOf([found[0]]) });
});

test('§6 a tuple that a template matches lies in one of its slots [6.10]', (t) => {
  let matched = 0;
  const named = smallTuple.map((fields) => ['a', ...fields]);
  const sources = template.map((alternatives) => [
    ...alternatives,
    ...alternatives.map((one) => ({ ...one, matchers: [actual('a'), ...one.matchers.slice(1)] })),
  ]);
  const property = fc.property(sources, small, named, (source, value, fields) => {
    const ready = compileTemplate(encodeTemplate(source.slice(1)));
    if (!(ready instanceof Template)) return false;
    const slots = routing.slotsOfTemplate(ready);
    return [fields, [value, ...fields]].every((tuple) => {
      const bytes = encodeTuple(tuple);
      if (!matchTuple(ready, bytes, offsets.scan(bytes))) return true;
      matched += 1;
      const slot = routing.slotOfTuple(bytes, offsets);
      if (slots.kind === 'pinned') return slots.slot === slot;
      return slots.kind === 'all' || slots.slots.includes(slot);
    });
  });
  fc.assert(property, { numRuns: 4_000 });
  t.true(matched > 1_000, `only ${matched} matches were seen`);
});

test('§6 routing rules hold their limits', (t) => {
  const rule = { tag: 'a', spread: 2, fields: [1] };
  t.is(
    checkRouting([rule, { ...rule, tag: 'b', spread: 4_096, fields: [1, 2, 3, 4, 5, 6, 7, 63] }]),
    null,
  );
  const bad: readonly RoutingRule[] = [
    { ...rule, spread: 1 },
    { ...rule, spread: 4_097 },
    { ...rule, spread: 2.5 },
    { ...rule, fields: [] },
    { ...rule, fields: [0] },
    { ...rule, fields: [64] },
    { ...rule, fields: [1, 1] },
    { ...rule, fields: [1, 2, 3, 4, 5, 6, 7, 8, 9] },
  ];
  for (const one of bad) {
    t.is(checkRouting([{ ...rule, tag: 'other' }, one])?.field, 'rules[1]');
  }
  const twice = checkRouting([
    { ...rule, tag: 1 },
    { ...rule, tag: new Float(1) },
  ]);
  t.is(twice?.reason, 'ROUTING_RULE');
});

test('§6 partitions own equal blocks of slots [6.6]', (t) => {
  for (const partitions of [1, 3, 16, 256]) {
    const counts = Array.from({ length: partitions }, () => 0);
    let last = 0;
    for (let slot = 0; slot < limits.slotCount; slot += 1) {
      const partition = partitionOfSlot(slot, partitions);
      t.true(partition >= last && partition < partitions);
      counts[partition] = (counts[partition] ?? 0) + 1;
      last = partition;
    }
    t.true(Math.max(...counts) - Math.min(...counts) <= 1);
  }
});
