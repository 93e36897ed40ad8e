import { FieldOffsets, matchTuple, NumberMap, type Template } from '@tuplet/proto';
import type { LogIndex, Slot, SpaceId } from '../base/ids.ts';

/** A tuple that an entry in flight adds to a slot. */
export interface TupleInFlight {
  readonly bytes: Uint8Array;
  /** The same entry hands it over: it will be present, and never ready. */
  readonly isHandedOver: boolean;
}

interface EntryInFlight {
  readonly index: LogIndex;
  readonly tuples: TupleInFlight[];
}

const offsets = new FieldOffsets();

/** What entries in flight add to each slot, in log order: what decisions about absence and order see. */
export class WritesInFlight {
  readonly #slots = new NumberMap<EntryInFlight[]>();

  /** An entry that adds this tuple, or gives one this form, was proposed. */
  enter(space: SpaceId, slot: Slot, index: LogIndex, tuple: TupleInFlight): void {
    const key = keyOf(space, slot);
    const entries = this.#slots.get(key);
    const last = entries?.[entries.length - 1];
    if (entries === undefined) this.#slots.set(key, [{ index, tuples: [tuple] }]);
    else if (last?.index === index) last.tuples.push(tuple);
    else entries.push({ index, tuples: [tuple] });
  }

  /** That entry was applied; entries are applied in log order. */
  leave(space: SpaceId, slot: Slot, index: LogIndex): void {
    const key = keyOf(space, slot);
    const entries = this.#slots.get(key);
    if (entries === undefined || entries[0]?.index !== index) return;
    if (entries.length === 1) this.#slots.delete(key);
    else entries.shift();
  }

  /** The newest entry in flight that changes the slot; undefined: none. */
  lastChange(space: SpaceId, slot: Slot): LogIndex | undefined {
    const entries = this.#slots.get(keyOf(space, slot));
    return entries?.[entries.length - 1]?.index;
  }

  /** The newest entry in flight that makes a match present; undefined: none. */
  lastMatch(space: SpaceId, slot: Slot, template: Template): LogIndex | undefined {
    const entries = this.#slots.get(keyOf(space, slot)) ?? [];
    for (let i = entries.length - 1; i >= 0; i -= 1) {
      const entry = entries[i];
      if (entry?.tuples.some((tuple) => matches(template, tuple))) return entry.index;
    }
    return undefined;
  }

  /** Whether an entry in flight makes a match ready. */
  hasReadyMatch(space: SpaceId, slot: Slot, template: Template): boolean {
    const entries = this.#slots.get(keyOf(space, slot));
    if (entries === undefined) return false;
    return entries.some(({ tuples }) =>
      tuples.some((tuple) => !tuple.isHandedOver && matches(template, tuple)),
    );
  }
}

function matches(template: Template, { bytes }: TupleInFlight): boolean {
  return matchTuple(template, bytes, offsets.scan(bytes));
}

/** Slots are below 4,096. */
function keyOf(space: SpaceId, slot: Slot): number {
  return space * 4_096 + slot;
}
