import { FieldOffsets, matchTuple, NumberMap, type Template } from '@tuplet/proto';
import type { LogIndex, Slot, SpaceId } from '../base/ids.ts';

/** A tuple that an entry in flight adds to a slot, or the form that it gives one. */
export interface TupleInFlight {
  /** The entry; one may add several to a slot. */
  readonly index: LogIndex;
  readonly bytes: Uint8Array;
  /** The same entry hands it over: it will be present, and never ready. */
  readonly isHandedOver: boolean;
}

const offsets = new FieldOffsets();

/** What entries in flight add to each slot, in log order: what decisions about absence and order see. */
export class WritesInFlight {
  readonly #slots = new NumberMap<TupleInFlight[]>();

  /** An entry was proposed. */
  enter(space: SpaceId, slot: Slot, tuple: TupleInFlight): void {
    const key = keyOf(space, slot);
    const tuples = this.#slots.get(key);
    if (tuples === undefined) this.#slots.set(key, [tuple]);
    else tuples.push(tuple);
  }

  /** It was applied; asked once for each of its tuples. Entries are applied in log order. */
  leave(space: SpaceId, slot: Slot, index: LogIndex): void {
    const key = keyOf(space, slot);
    const tuples = this.#slots.get(key);
    if (tuples === undefined || tuples[0]?.index !== index) return;
    if (tuples.length === 1) this.#slots.delete(key);
    else tuples.shift();
  }

  /** The newest entry in flight that changes the slot; undefined: none. */
  lastChange(space: SpaceId, slot: Slot): LogIndex | undefined {
    const tuples = this.#slots.get(keyOf(space, slot));
    return tuples?.[tuples.length - 1]?.index;
  }

  /** The newest entry in flight that makes a match present; undefined: none. */
  lastMatch(space: SpaceId, slot: Slot, template: Template): LogIndex | undefined {
    const tuples = this.#slots.get(keyOf(space, slot)) ?? [];
    for (let i = tuples.length - 1; i >= 0; i -= 1) {
      const tuple = tuples[i];
      if (tuple !== undefined && matches(template, tuple)) return tuple.index;
    }
    return undefined;
  }

  /** Whether an entry in flight makes a match ready. */
  hasReadyMatch(space: SpaceId, slot: Slot, template: Template): boolean {
    const tuples = this.#slots.get(keyOf(space, slot));
    if (tuples === undefined) return false;
    return tuples.some((tuple) => !tuple.isHandedOver && matches(template, tuple));
  }
}

function matches(template: Template, { bytes }: TupleInFlight): boolean {
  return matchTuple(template, bytes, offsets.scan(bytes));
}

/** Slots are below 4,096. */
function keyOf(space: SpaceId, slot: Slot): number {
  return space * 4_096 + slot;
}
