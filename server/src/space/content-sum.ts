/**
 * A checksum of what spaces hold, whatever partition, order, id or state it has: equal contents have equal
 * sums. A tuple counts with its bytes and the end of its lease, a space with its name, its tuples and their sum.
 */
import { type Hash64, hash64, hashInto, Writer } from '@tuplet/proto';
import { present } from '../base/assert.ts';
import type { SpaceId } from '../base/ids.ts';
import type { LoadedTuple } from './tuple-load.ts';

/** What one space holds. */
export interface SpaceSum {
  readonly tuples: number;
  readonly checksum: bigint;
}

/** Nothing. */
export const emptySum: SpaceSum = { tuples: 0, checksum: 0n };

/** The sum of a space while its tuples come, in two lanes of 32 bits. */
interface Lanes {
  tuples: number;
  low: number;
  high: number;
}

/** Adds tuples up, by their space. */
export class ContentSum {
  readonly #spaces = new Map<SpaceId, Lanes>();
  readonly #writer = new Writer(4_096);
  readonly #hash: Hash64 = { low: 0, high: 0 };

  /** Adds a tuple whose stored encoding is `bytes` from `tuple.from` to `tuple.to`. */
  add({ space, leaseEndMs, from, to }: LoadedTuple, bytes: Uint8Array): void {
    const writer = this.#writer;
    writer.reset();
    // No lease ends at 0.
    writer.uint64(leaseEndMs === Number.POSITIVE_INFINITY ? 0 : leaseEndMs);
    writer.raw(bytes.subarray(from, to));
    hashInto(writer.bytes, 0, writer.position, this.#hash);
    this.#add(space, 1, this.#hash);
  }

  /** Adds everything that another one has. */
  addAll(other: ContentSum): void {
    for (const [space, lanes] of other.#spaces) this.#add(space, lanes.tuples, lanes);
  }

  #add(space: SpaceId, tuples: number, { low, high }: Hash64): void {
    let lanes = this.#spaces.get(space);
    if (lanes === undefined) {
      lanes = { tuples: 0, low: 0, high: 0 };
      this.#spaces.set(space, lanes);
    }
    lanes.tuples += tuples;
    lanes.low = (lanes.low + low) >>> 0;
    lanes.high = (lanes.high + high) >>> 0;
  }

  /** What a space holds. */
  of(space: SpaceId): SpaceSum {
    const lanes = this.#spaces.get(space);
    if (lanes === undefined) return emptySum;
    return {
      tuples: lanes.tuples,
      checksum: (BigInt(lanes.high) << 32n) | BigInt(lanes.low),
    };
  }
}

/** The sum over several spaces; those without tuples count as if they were not there. */
export function sumOfSpaces(spaces: ReadonlyMap<string, SpaceSum>): SpaceSum {
  const writer = new Writer(256);
  let tuples = 0;
  for (const name of [...spaces.keys()].sort()) {
    const sum = present(spaces.get(name), 'it is one of them');
    if (sum.tuples === 0) continue;
    tuples += sum.tuples;
    writer.string(name);
    writer.uint64(sum.tuples);
    writer.uint32(Number(sum.checksum & 0xffff_ffffn));
    writer.uint32(Number(sum.checksum >> 32n));
  }
  return { tuples, checksum: hash64(writer.bytes, 0, writer.position) };
}
