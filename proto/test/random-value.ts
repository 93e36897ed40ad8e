import { Float, floatOf, intOf, Timestamp, type Value } from '../src/index.ts';

const words = [
  '',
  'a',
  'job',
  'é',
  '\0',
  '😀',
  '\u{10ffff}',
  '\uffff',
  'the quick brown fox jumps over it all, twice',
];

/** A random value from a source of numbers in 0..1; cheaper than fast-check, for runs of 100,000. */
export function randomValue(random: () => number, depth = 0): Value {
  const below = (limit: number): number => Math.floor(random() * limit);
  switch (below(depth < 3 ? 12 : 9)) {
    case 0:
      return null;
    case 1:
      return random() < 0.5;
    case 2:
      return below(2_000) - 1_000;
    case 3:
      return intOf(BigInt.asIntN(64, randomBits(random) >> BigInt(below(64))));
    case 4:
      return floatOf(below(100) / 4 - 10);
    case 5:
      return randomDouble(random);
    case 6:
      return words[below(words.length)] + (random() < 0.3 ? 'x'.repeat(below(300)) : '');
    case 7:
      return Uint8Array.from({ length: below(20) }, () => below(256));
    case 8:
      return Timestamp.fromNanoseconds(BigInt.asIntN(64, randomBits(random)) >> BigInt(below(64)));
    case 9:
    case 10:
      return Array.from({ length: below(4) }, () => randomValue(random, depth + 1));
    default: {
      const entry = (): [string, Value] => [
        words[below(words.length)] ?? '',
        randomValue(random, depth + 1),
      ];
      return new Map(Array.from({ length: below(4) }, entry));
    }
  }
}

/** 64 random bits. */
export function randomBits(random: () => number): bigint {
  return (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
}

function randomDouble(random: () => number): Value {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, randomBits(random));
  const double = view.getFloat64(0);
  return double === 0 ? new Float(double) : floatOf(double);
}

/** A random tuple of one to five fields. */
export function randomTuple(random: () => number): readonly Value[] {
  return Array.from({ length: 1 + Math.floor(random() * 5) }, () => randomValue(random));
}
