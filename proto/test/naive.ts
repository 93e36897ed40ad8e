import {
  type MatcherSpec,
  numberOf,
  type RoutingRule,
  type TemplateSpec,
  Timestamp,
  type Value,
} from '../src/index.ts';
import { compareValues, equalValues } from './oracle.ts';

/**
 * Keys, H, slots and pinning said a second time, from the words of proto/vectors/README.md, over
 * decoded values, with BigInt and arrays: what the vectors are checked by.
 */

const M32 = 0xffff_ffffn;

/** The key encoding of a value. */
export function naiveKey(value: Value): readonly number[] {
  if (value === null) return [0x10];
  if (typeof value === 'boolean') return [value ? 0x21 : 0x20];
  if (typeof value === 'string') return [0x50, ...escaped(Buffer.from(value, 'utf8'))];
  if (value instanceof Uint8Array) return [0x60, ...escaped(value)];
  if (value instanceof Timestamp) {
    return [0x40, ...big(BigInt(value.seconds) + 2n ** 63n, 8), ...big(BigInt(value.nanos), 4)];
  }
  if (Array.isArray(value))
    return [0x70, ...value.flatMap((each: Value) => [...naiveKey(each)]), 0];
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, Value>)].sort(([a], [b]) =>
      compareValues(a, b),
    );
    return [0x80, ...entries.flatMap(([key, each]) => [...naiveKey(key), ...naiveKey(each)]), 0];
  }
  const number = numberOf(value);
  return number === undefined ? [] : [0x30, ...numberKey(number)];
}

function escaped(bytes: Uint8Array): readonly number[] {
  return [...[...bytes].flatMap((byte) => (byte === 0 ? [0, 0xff] : [byte])), 0, 0];
}

function big(value: bigint, size: number): readonly number[] {
  return Array.from({ length: size }, (_, i) =>
    Number((value >> BigInt(8 * (size - 1 - i))) & 255n),
  );
}

function numberKey(value: number | bigint): readonly number[] {
  if (typeof value === 'number' && Number.isNaN(value)) return new Array<number>(10).fill(0);
  let floor = Number(value);
  if (typeof value === 'bigint') while (BigInt(floor) > value) floor = below(floor);
  const excess = typeof value === 'bigint' ? value - BigInt(floor) : 0n;
  return [...big(orderedBits(floor), 8), ...big(excess, 2)];
}

/** The next double below an integral one that is not 0. */
function below(value: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigUint64(0, view.getBigUint64(0) + (value > 0 ? -1n : 1n));
  return view.getFloat64(0);
}

function orderedBits(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value === 0 ? 0 : value);
  const bits = view.getBigUint64(0);
  return bits >> 63n === 1n ? ~bits & (2n ** 64n - 1n) : bits | (1n << 63n);
}

/** H: MurmurHash3_x86_128 with seed 0, its first two lanes. */
export function naiveHash(bytes: readonly number[]): bigint {
  const c = [0x239b961bn, 0xab0e9789n, 0x38b34ae5n, 0xa1e38b93n];
  const lane = (from: number): bigint =>
    [3, 2, 1, 0].reduce((sum, i) => (sum << 8n) | BigInt(bytes[from + i] ?? 0), 0n);
  const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (32n - by))) & M32;
  const multiply = (x: bigint, y: bigint): bigint => (x * y) & M32;
  const pick = (list: readonly bigint[], i: number): bigint => list[i % 4] ?? 0n;
  const mix = (k: bigint, i: number): bigint =>
    multiply(rotate(multiply(k, pick(c, i)), pick([15n, 16n, 17n, 18n], i)), pick(c, i + 1));
  const h = [0n, 0n, 0n, 0n];
  const blocks = Math.floor(bytes.length / 16);
  for (let block = 0; block < blocks; block += 1) {
    for (let i = 0; i < 4; i += 1) {
      h[i] = pick(h, i) ^ mix(lane(block * 16 + i * 4), i);
      const sum = rotate(pick(h, i), pick([19n, 17n, 15n, 13n], i)) + pick(h, i + 1);
      h[i] = (sum * 5n + pick([0x561ccd1bn, 0x0bcaa747n, 0x96cd1c35n, 0x32ac3b17n], i)) & M32;
    }
  }
  for (let i = 0; i < 4; i += 1)
    h[i] = pick(h, i) ^ mix(lane(blocks * 16 + i * 4), i) ^ BigInt(bytes.length);
  const spread = (): void => {
    h[0] = h.reduce((sum, x) => (sum + x) & M32, 0n);
    for (let i = 1; i < 4; i += 1) h[i] = (pick(h, i) + pick(h, 0)) & M32;
  };
  spread();
  for (let i = 0; i < 4; i += 1) {
    let x = pick(h, i);
    x = multiply(x ^ (x >> 16n), 0x85ebca6bn);
    x = multiply(x ^ (x >> 13n), 0xc2b2ae35n);
    h[i] = x ^ (x >> 16n);
  }
  spread();
  return (pick(h, 1) << 32n) | pick(h, 0);
}

/** The slot of a tuple whose values at the rule's fields are `hashed` (undefined: missing). */
function slotBy(
  name: string,
  tag: Value,
  rule: RoutingRule | undefined,
  hashed: readonly (Value | undefined)[],
): number {
  const keys = hashed.flatMap((value) => (value === undefined ? [0] : [...naiveKey(value)]));
  const bucket = rule === undefined ? 0n : naiveHash(keys) % BigInt(rule.spread);
  return slotOfBucket(name, tag, bucket);
}

function slotOfBucket(name: string, tag: Value, bucket: bigint): number {
  return Number(naiveHash([...naiveKey(name), ...naiveKey(tag), ...big(bucket, 2)]) % 4_096n);
}

/** The slot of a tuple. */
export function naiveSlot(
  name: string,
  rules: readonly RoutingRule[],
  fields: readonly Value[],
): number {
  const tag = fields[0] ?? null;
  const rule = rules.find((each) => equalValues(each.tag, tag));
  return slotBy(name, tag, rule, rule?.fields.map((field) => fields[field]) ?? []);
}

/** Where a template can match, in the words of the vectors. */
export function naiveSlots(
  name: string,
  rules: readonly RoutingRule[],
  template: TemplateSpec,
): { readonly pinned: boolean; readonly slots: readonly number[] | 'all' } {
  const slots = new Set<number>();
  let isFixed = true;
  for (const { matchers, rest } of template) {
    const tags = named(matchers[0]);
    if (tags.length === 0) return { pinned: false, slots: 'all' };
    for (const tag of tags) {
      const rule = rules.find((each) => equalValues(each.tag, tag));
      const hashed: readonly (Fixed | 'open')[] =
        rule?.fields.map((field) => fixedAt(matchers, rest === true, field)) ?? [];
      if (hashed.every((each) => each !== 'open')) {
        const fixed = hashed.map((each) => each.value);
        slots.add(slotBy(name, tag, rule, fixed));
        continue;
      }
      isFixed = false;
      for (let bucket = 0; bucket < (rule?.spread ?? 0); bucket += 1) {
        slots.add(slotOfBucket(name, tag, BigInt(bucket)));
      }
    }
  }
  return { pinned: isFixed && slots.size === 1, slots: [...slots].sort((a, b) => a - b) };
}

function named(matcher: MatcherSpec | undefined): readonly Value[] {
  if (matcher?.kind === 'actual') return [matcher.value];
  return matcher?.kind === 'any-of' ? matcher.values : [];
}

type Fixed = { readonly value: Value | undefined };

function fixedAt(matchers: readonly MatcherSpec[], rest: boolean, field: number): Fixed | 'open' {
  if (field >= matchers.length) return rest ? 'open' : { value: undefined };
  const [first, ...others] = named(matchers[field]);
  if (first === undefined || !others.every((other) => equalValues(first, other))) return 'open';
  return { value: first };
}
