/**
 * A partition as a new cluster begins with it: the tuples of another cluster's snapshot, and nothing that
 * belongs to its clients. What was handed over is given back; sessions, results of requests and the history
 * are left out.
 */
import { malformed } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { SpaceId } from '../base/ids.ts';
import { restoredIdsSkipped } from '../base/limits.ts';
import { Space } from './space.ts';
import type { SpaceLimits, SpaceState } from './space-state.ts';
import type { LoadedTuple } from './tuple-load.ts';
import { TupleReader } from './tuple-reader.ts';

const countersPerPartition = 2 ** 44;

/** Takes the chunks of a snapshot in order, cut anywhere, then gives the space. The same on every replica. */
export class RestoredSpace {
  readonly #spaces: ReadonlySet<SpaceId>;
  readonly #reader: TupleReader;
  #state: SpaceState | undefined;

  /** `spaces`: those that there are; tuples of others were on their way out. */
  constructor(spaces: ReadonlySet<SpaceId>, limits: Partial<SpaceLimits> = {}) {
    this.#spaces = spaces;
    this.#reader = new TupleReader(
      {
        begun: (state, tuples) => {
          state.tuples.expect(tuples);
          this.#state = state;
        },
        tuple: (tuple, bytes) => this.#load(present(this.#state, 'a header came'), tuple, bytes),
      },
      limits,
    );
  }

  /** Adds a chunk; its bytes are not needed afterwards. Throws FormatError or DecodeError. */
  add(chunk: Uint8Array): void {
    this.#reader.add(chunk);
  }

  /** The partition, once every chunk has been added. Throws DecodeError. */
  finish(): Space {
    this.#reader.finish();
    const state = present(this.#state, 'a header came');
    state.tuples.finishLoad();
    state.dropped.clear();
    const { lastPlace } = state.history;
    state.history.loadPlaces(lastPlace, lastPlace);
    // Ids that the other cluster has given since are known to its clients: they are nobody's here.
    state.tupleCounter += restoredIdsSkipped;
    state.sessionCounter += restoredIdsSkipped;
    assert(state.tupleCounter < countersPerPartition, 'there are ids left for tuples');
    assert(state.sessionCounter < countersPerPartition, 'there are ids left for sessions');
    return new Space(state);
  }

  #load(state: SpaceState, tuple: LoadedTuple, bytes: Uint8Array): void {
    if (!this.#spaces.has(tuple.space)) return;
    if (tuple.handed) {
      tuple.handed = false;
      tuple.deliveries += 1;
    }
    if (!state.tuples.load(tuple, bytes, tuple.from, tuple.to))
      throw malformed('a tuple comes twice');
  }
}
