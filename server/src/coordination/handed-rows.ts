import { NumberMap } from '@tuplet/proto';
import type { Slot, SpaceId } from '../base/ids.ts';
import type { RowNumber, SpaceView } from './ports.ts';

/**
 * The rows of tuples handed over and not yet acknowledged, by slot: present to a write-if-absent
 * (SPEC §3), and to reads that ask for them. Few, and not in the indexes.
 */
export class HandedRows {
  readonly #view: SpaceView;
  readonly #spaces = new NumberMap<NumberMap<NumberMap<RowNumber>>>();

  constructor(view: SpaceView) {
    this.#view = view;
  }

  /** Takes up what is handed over already: one look at each row. */
  load(): void {
    const { rows } = this.#view;
    for (let row = 0 as RowNumber; row < rows.rowCount; row = (row + 1) as RowNumber) {
      if (!rows.isFree(row) && rows.isHanded(row)) this.add(row);
    }
  }

  add(row: RowNumber): void {
    const { rows } = this.#view;
    let slots = this.#spaces.get(rows.space(row));
    if (slots === undefined) {
      slots = new NumberMap();
      this.#spaces.set(rows.space(row), slots);
    }
    let ofSlot = slots.get(rows.slot(row));
    if (ofSlot === undefined) {
      ofSlot = new NumberMap();
      slots.set(rows.slot(row), ofSlot);
    }
    ofSlot.set(row, row);
  }

  /** Nothing where the row is not here. */
  remove(row: RowNumber): void {
    const { rows } = this.#view;
    const slots = this.#spaces.get(rows.space(row));
    const ofSlot = slots?.get(rows.slot(row));
    if (slots === undefined || ofSlot === undefined || !ofSlot.delete(row)) return;
    if (ofSlot.size > 0) return;
    slots.delete(rows.slot(row));
    if (slots.size === 0) this.#spaces.delete(rows.space(row));
  }

  ofSlot(space: SpaceId, slot: Slot): Iterable<RowNumber> {
    return this.#spaces.get(space)?.get(slot)?.values() ?? [];
  }

  /** Oldest first. */
  ofSpace(space: SpaceId): readonly RowNumber[] {
    const rows: RowNumber[] = [];
    // One by one: as arguments of one call a hundred thousand are too many.
    for (const ofSlot of this.#spaces.get(space)?.values() ?? [])
      for (const row of ofSlot.values()) rows.push(row);
    return rows.sort((a, b) => this.#view.idOf(a) - this.#view.idOf(b));
  }
}
