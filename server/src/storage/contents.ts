/** Which segment holds what of which group: it decides when a segment may go. */
import type { GroupId, LogIndex } from '../base/ids.ts';
import { groupMax } from '../base/limits.ts';
import type { LogEntry } from './entry.ts';
import type { GroupTable } from './groups.ts';
import { logFolder, segmentName } from './segments.ts';

/** A group that keeps the oldest segment from being removed. */
export interface Holder {
  readonly group: GroupId;
  /**
   * A newer snapshot is needed, which can help only where more was applied since the newest; or that one
   * suffices: verify it and append its mark again.
   */
  readonly needs: 'snapshot' | 'repeated-mark';
}

interface SegmentContent {
  readonly number: number;
  /** Highest index of each group's living entries in this segment; 0 for none. */
  readonly highest: Float64Array;
}

/** The segments with frames, oldest first; the last one may not have a file yet. */
export class LogContents {
  readonly #segments: SegmentContent[] = [];
  /** Each group's index up to which durable marks let the log go. */
  readonly #floors = new Map<GroupId, LogIndex>();

  get count(): number {
    return this.#segments.length;
  }

  /** The number of the oldest segment; undefined where there is none. */
  get oldest(): number | undefined {
    return this.#segments[0]?.number;
  }

  /** The number of the newest; 0 where there is none. */
  get newest(): number {
    return this.#segments.at(-1)?.number ?? 0;
  }

  /** Frames go to this segment from now on. */
  enter(number: number): void {
    this.#segments.push({ number, highest: new Float64Array(groupMax + 1) });
  }

  dropOldest(): void {
    this.#segments.shift();
  }

  /** Notes an entry in the newest segment, whose tail it may replace. */
  note({ group, index }: LogEntry): void {
    const newest = this.#segments[this.#segments.length - 1];
    if (newest !== undefined) newest.highest[group] = index;
  }

  /**
   * What segments from `from` to before `to` have of a group at or above an index counts no more. The
   * older ones may only be told once the record that says so is durable: else they could go, and the
   * record with the power.
   */
  void(group: GroupId, index: number, segments: { from?: number; to?: number } = {}): void {
    const { from = 0, to = Number.POSITIVE_INFINITY } = segments;
    for (const { number, highest } of this.#segments) {
      if (number < from || number >= to) continue;
      if ((highest[group] ?? 0) >= index) highest[group] = index - 1;
    }
  }

  /** A durable record lets a group's log go up to an index. */
  setFloor(group: GroupId, index: LogIndex): void {
    this.#floors.set(group, index);
  }

  /** The file of a living entry of a group, within the data folder; its folder where there is none. */
  fileOf(group: GroupId, index: LogIndex): string {
    const found = this.#segments.find(({ highest }) => (highest[group] ?? 0) >= index);
    return found === undefined ? logFolder : segmentName(found.number);
  }

  /** The groups that keep the oldest segment; empty when it is the only one. */
  holders(table: GroupTable): readonly Holder[] {
    const oldest = this.#segments[0];
    if (oldest === undefined || this.#segments.length === 1) return [];
    const holders: Holder[] = [];
    for (const { mark } of table.summaries()) {
      const highest = oldest.highest[mark.group] ?? 0;
      if (highest <= (this.#floors.get(mark.group) ?? 0)) continue;
      holders.push({
        group: mark.group,
        needs: mark.index >= highest ? 'repeated-mark' : 'snapshot',
      });
    }
    return holders;
  }
}
