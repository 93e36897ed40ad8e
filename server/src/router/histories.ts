/** What happened in partitions, as notify streams read it, wherever it is kept. */
import type { PartitionId } from '../base/ids.ts';
import type { EventPlace, SpaceEvent } from '../space/history.ts';

/** Where a history begins and ends. */
export interface HistoryBounds {
  /** The youngest event ever: "now" for a new stream. */
  readonly last: EventPlace;
  /** The youngest event that is no longer kept; a stream goes on from here or later. */
  readonly cut: EventPlace;
}

/** One partition's history, read by one stream. */
export interface HistoryReader {
  /** Answers once, perhaps at once. Undefined: nobody could say for long. */
  bounds(answer: (bounds: HistoryBounds | undefined) => void): void;
  /**
   * Up to `eventsMax` events after a place, about `bytesMax` bytes of them but at least one. None: there
   * are none, or they are on their way, and `wake` follows. `compacted`: an event after the place is gone;
   * `unavailable`: nobody could say for long.
   */
  read(
    after: EventPlace,
    eventsMax: number,
    bytesMax: number,
  ): readonly SpaceEvent[] | 'compacted' | 'unavailable';
  /** Lets go of it: nothing is called any more. */
  close(): void;
}

/** All histories. */
export interface Histories {
  readonly clusterId: string;
  /** Begins to read one; `wake`: there may be more to read, at most once a turn. */
  open(partition: PartitionId, wake: () => void): HistoryReader;
  nowMs(): number;
}
