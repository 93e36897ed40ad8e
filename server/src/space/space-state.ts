/** Everything that a partition's log builds up, for those who apply, read, snapshot and check it. */
import type { LogIndex, PartitionId, SpaceId, StampMs } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { EventHistory, type HistoryLimits } from './history.ts';
import { type RequestResultLimits, RequestResults } from './request-results.ts';
import { type ReturnLimits, Returns } from './returns.ts';
import { Sessions } from './sessions.ts';
import { SlotChanges } from './slot-changes.ts';
import { TupleStore } from './tuple-store.ts';

/** The bounds of a partition's state. Equal on all its replicas; defaults are in `base/limits.ts`. */
export interface SpaceLimits extends HistoryLimits, RequestResultLimits, ReturnLimits {
  readonly endedMarkMs: number;
}

/** The state of one partition. */
export class SpaceState {
  readonly partition: PartitionId;
  readonly limits: SpaceLimits;
  readonly tuples: TupleStore;
  readonly sessions: Sessions;
  readonly requests: RequestResults;
  readonly history: EventHistory;
  readonly slots: SlotChanges = new SlotChanges();
  readonly returns: Returns;
  /** Dropped spaces that still have tuples handed over: given back, these go. */
  readonly dropped: Set<SpaceId> = new Set();
  appliedIndex: LogIndex = 0 as LogIndex;
  stampMs: StampMs = 0 as StampMs;
  /** Counters in the ids given last. */
  tupleCounter = 0;
  sessionCounter = 0;

  constructor(partition: PartitionId, changed: Partial<SpaceLimits> = {}) {
    this.partition = partition;
    this.limits = { ...limits, ...changed };
    this.tuples = new TupleStore(partition);
    this.sessions = new Sessions(partition, this.limits);
    this.requests = new RequestResults(this.limits);
    this.history = new EventHistory(this.limits);
    this.returns = new Returns(this.limits);
  }
}
