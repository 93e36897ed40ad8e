/**
 * Seeded randomness: sfc32 (Doty-Humphrey, PractRand), 128 bits of state, integer arithmetic only,
 * so that a seed means the same on every machine and every version of Node. Not for secrets.
 */
import { assert } from './assert.ts';
import type { Random } from './doors.ts';

const uint32Count = 2 ** 32;

/** A stream of numbers from a seed. Streams made by `fork` are independent of how far this one is. */
export class Prng implements Random {
  readonly #origin: readonly [number, number];
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** `seed`: a safe integer, 0 or more. `label` tells streams of one seed apart. */
  constructor(seed: number, label = '') {
    assert(Number.isSafeInteger(seed), 'a seed is a safe integer');
    assert(seed >= 0, 'a seed is not negative');
    const low = seed >>> 0;
    const high = Math.floor(seed / uint32Count) >>> 0;
    const name = hashLabel(label);
    this.#origin = [seed, name];
    this.#a = low;
    this.#b = high;
    this.#c = name;
    this.#counter = 1;
    // The state needs 12 steps before every bit depends on every bit of the seed; 20 is free.
    for (let step = 0; step < 20; step++) this.uint32();
  }

  /** An integer in 0..2^32-1. */
  uint32(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** An integer in 0..count-1; `count` from 1 to 2^32. The bias is below count / 2^32. */
  below(count: number): number {
    assert(count >= 1, 'there is something to choose from');
    assert(count <= uint32Count, 'a choice fits 32 bits');
    return Math.floor((this.uint32() * count) / uint32Count);
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True `times` out of `outOf` on average. */
  chance(times: number, outOf: number): boolean {
    return this.below(outOf) < times;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    assert(item !== undefined, 'a picked item is there');
    return item;
  }

  /** A stream of the same seed under another name. */
  fork(label: string): Prng {
    const [seed, name] = this.#origin;
    return new Prng(seed, `${name.toString(16)}/${label}`);
  }
}

/** FNV-1a over UTF-16 code units. */
function hashLabel(label: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < label.length; at++) {
    hash = Math.imul(hash ^ label.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
