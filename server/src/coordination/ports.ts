/** What a leader sees of its partition's state, and how it reaches the world. */
import type { Brand } from '../base/brand.ts';
import type {
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  Term,
  TupleId,
} from '../base/ids.ts';
import type { Command, Operation, SessionOperation } from '../space/command.ts';
import type { Refusal, Result, StoredTuple } from '../space/outcome.ts';
import type { BetweenLeaders, CoordinatorId, FromLeader } from './messages.ts';

/** What the owner of a `Leader` does for it. All calls are made from inside the leader's own. */
export interface LeaderPorts {
  /** Puts an entry into the log; its index is known at once, its outcome comes through `applied`. */
  propose(command: Command): LogIndex;
  send(to: CoordinatorId, message: FromLeader): void;
  /** To the present leader of a partition, which may be this one; may be lost. */
  sendLeader(to: PartitionId, message: BetweenLeaders): void;
  /** Whether the disk has room for more than what frees room. Absent: always. */
  admitsData?(): boolean;
  /** Whether the partition may have more in flight: what resumes waits for it. Absent: always. */
  hasRoom?(): boolean;
  /** The stamp that an entry proposed now would carry. */
  stampMs(): StampMs;
  /**
   * L3: calls `run` once it is sure that this leadership still held after this call (ReadIndex);
   * never, if it did not. Absent where a partition has one replica: at once.
   */
  confirm?(run: () => void): void;
}

/** A row of the space (`Row` there); -1: none. Stays the same while the tuple is there. */
export type RowNumber = Brand<number, 'Row'>;
/** No row. */
export const noRow: RowNumber = -1 as RowNumber;

/** The columns of the tuples that matching looks at. */
export interface RowsView {
  /** Rows that exist, free ones counted: row numbers are below it. */
  readonly rowCount: number;
  isFree(row: RowNumber): boolean;
  isHanded(row: RowNumber): boolean;
  isReady(row: RowNumber): boolean;
  revision(row: RowNumber): LogIndex;
  space(row: RowNumber): SpaceId;
  slot(row: RowNumber): Slot;
  /** Bytes of the stored encoding. */
  size(row: RowNumber): number;
  /** Infinity: never. */
  leaseEndMs(row: RowNumber): number;
  /** Ready, and its lease goes beyond the stamp. */
  visible(row: RowNumber, stampMs: StampMs): boolean;
}

/** A session's record in its home partition. */
export interface HomeView {
  readonly leaseMs: number;
  readonly state: 'open' | 'ended';
  readonly touched: ReadonlySet<PartitionId>;
}

/** Hears of each transition inside `apply`; the tuple's bytes are there in both calls. */
export interface RowWatcher {
  /** A tuple became ready: written, given back, or the new form of a replaced one. */
  ready(row: RowNumber): void;
  /** A ready tuple is no longer so: handed over, removed, or the old form of a replaced one. */
  unready(row: RowNumber): void;
  /** The tuple, or its old form, leaves for good; after `unready` if it was ready. */
  removed?(row: RowNumber): void;
}

/** The replicated state of one partition as its leader reads it; `Space` is one. */
export interface SpaceView {
  readonly appliedIndex: LogIndex;
  /** The highest stamp applied. */
  readonly stampMs: StampMs;
  session(session: SessionId): 'known' | 'ended' | 'unknown';
  home(session: SessionId): HomeView | undefined;
  homeSessions(): Iterable<readonly [SessionId, HomeView]>;
  /** Sessions served here, sessions whose home this is, and marks of those that have ended. */
  readonly sessionCounts: {
    readonly known: number;
    readonly home: number;
    readonly ended: number;
  };
  /** PROTOCOL §2. */
  admit(operation: SessionOperation): 'ok' | Refusal;
  result(operation: Operation): Result | undefined;
  /** 0: none. */
  fenceOf(session: SessionId, sequence: Sequence): number;
  /**
   * What a session holds here: unfinished operations with a result, and the bytes of these; with a
   * floor, without what lies below it.
   */
  sessionLoad(
    session: SessionId,
    floor?: Sequence,
  ): { readonly operations: number; readonly bytes: number };
  /** Log index of the last entry that added or changed a tuple there; 0 if none; may be too high. */
  slotLastChange(space: SpaceId, slot: Slot): LogIndex;
  readonly rows: RowsView;
  /** -1 where there is no such tuple. */
  rowOf(tuple: TupleId): RowNumber;
  idOf(row: RowNumber): TupleId;
  /** A view, valid until the next `apply`. */
  bytesOf(row: RowNumber): Uint8Array;
  /** The memory that holds a row's bytes, from `startOf` on, `rows.size` long: to match without a view. */
  chunkOf(row: RowNumber): Uint8Array;
  startOf(row: RowNumber): number;
  /** A copy. */
  stored(row: RowNumber): StoredTuple;
  /** Ready rows of a space, oldest first; -1 at the end. */
  oldestReady(space: SpaceId): RowNumber;
  nextReady(row: RowNumber): RowNumber;
  counts(space: SpaceId): { readonly ready: number; readonly handed: number };
  /** Tuples handed over to nobody any more, which wait to be given back. */
  readonly returning: number;
  /** The earliest end of a lease of a ready tuple; Infinity: none. */
  nextDeadlineMs(): number;
  /** Ready tuples whose lease ended at or before the stamp: what one EXPIRE may name. */
  expiredRows(stampMs: StampMs, max: number): readonly TupleId[];
  /** All ready tuples whose lease ended at or before the stamp. */
  allExpired(stampMs: StampMs): readonly TupleId[];
  observer: RowWatcher | undefined;
}

/** What a leader is made with. */
export interface LeaderOptions {
  readonly partition: PartitionId;
  readonly epoch: Term;
  readonly space: SpaceView;
  readonly ports: LeaderPorts;
  readonly limits?: Partial<LeaderLimits>;
}

/** The bounds that tests make smaller; `base/limits.ts` has the real ones. */
export interface LeaderLimits {
  readonly waitersMax: number;
  readonly parkedRequestsMax: number;
  readonly parkedBytesMax: number;
  readonly blockedMutationsMax: number;
  readonly blockedBytesMax: number;
  readonly sessionOperationsMax: number;
  readonly sessionBytesMax: number;
  readonly homeSessionsMax: number;
  readonly knownSessionsMax: number;
  readonly endedSessionsMax: number;
  readonly tupleIndexesMax: number;
  readonly tupleIndexRowsMin: number;
  readonly searchSliceRows: number;
}
