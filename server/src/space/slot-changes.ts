/**
 * When something was last added to a slot of a space: what a write-if-absent rests on. A fixed table
 * of buckets that slots of different spaces share, so an answer may be too high, never too low.
 */
import type { LogIndex, Slot, SpaceId } from '../base/ids.ts';

/** Buckets; as many as slots, so that within one space no two slots share one. */
export const slotBuckets = 4_096;

/** The last change of each bucket. */
export class SlotChanges {
  readonly #changes = new Float64Array(slotBuckets);

  /** The index of the entry that last wrote or replaced a tuple there; 0: none. */
  last(space: SpaceId, slot: Slot): LogIndex {
    return this.#changes[bucketOf(space, slot)] as LogIndex;
  }

  set(space: SpaceId, slot: Slot, index: LogIndex): void {
    this.#changes[bucketOf(space, slot)] = index;
  }

  /** All buckets, for a snapshot. */
  copy(): Float64Array {
    return this.#changes.slice();
  }

  load(changes: readonly number[]): void {
    this.#changes.set(changes);
  }
}

function bucketOf(space: SpaceId, slot: Slot): number {
  return (slot + Math.imul(space, 0x9e3b)) & (slotBuckets - 1);
}
