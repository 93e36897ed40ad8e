/**
 * What goes between the partitions' leaders and those who call them: coordinators and callers on
 * gateways (the router drives them), and other partitions' leaders. On one node they are handed
 * over in the turn loop; between nodes they travel. PROTOCOL §5 to §7 says what each means; the
 * network may lose, delay, duplicate and reorder them.
 */
import type { ErrorReason, Template } from '@tuplet/proto';
import type {
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  Term,
  TupleId,
} from '../base/ids.ts';
import type { NewTuple, Operation, SessionOperation } from '../space/command.ts';
import type { Refusal, Result, StoredTuple } from '../space/outcome.ts';

/** A router's incarnation: one life of one gateway process. Each is one coordinator to a leader. */
export type CoordinatorId = number;
/** A router's number for one call (one attempt of an operation); unique in its incarnation. */
export type CallId = number;

/** What a take or read matches. */
export interface Query {
  readonly space: SpaceId;
  readonly template: Template;
  /** At most so many tuples, 1 to 1,000; at most 3.5 MiB together, with at least one. */
  readonly max: number;
  /** Wait until so many match; more than 1 only where pinned. */
  readonly min: number;
  /**
   * How long the call had waited when this was sent, in ms; absent: not at all. After a fail-over it
   * decides the place in line (SPEC §3).
   */
  readonly waitedMs?: number;
}

/** C1, C4, C5: an unpinned take waits here. */
export interface Register {
  readonly kind: 'register';
  readonly call: CallId;
  readonly operation: SessionOperation;
  /** Counts the attempt's REGISTERs and DECLINEs upwards. */
  readonly r: number;
  readonly query: Query;
}
/** C2: the offer is taken up. */
export interface Accept {
  readonly kind: 'accept';
  readonly call: CallId;
  readonly operation: SessionOperation;
  readonly epoch: Term;
  readonly offer: number;
}
/** C2: another offer is being accepted. */
export interface Decline {
  readonly kind: 'decline';
  readonly call: CallId;
  readonly operation: SessionOperation;
  readonly epoch: Term;
  readonly offer: number;
  readonly r: number;
}
/** C8: the attempt is over; a courtesy. */
export interface Withdraw {
  readonly kind: 'withdraw';
  readonly call: CallId;
  readonly operation: SessionOperation;
}
/** C1: refuse all earlier attempts, or give the earlier result. */
export interface Fence {
  readonly kind: 'fence';
  readonly call: CallId;
  readonly operation: SessionOperation;
}
/** T1: a pinned take, sent again with a higher m for a new epoch or link, the wait's end or a cancel. */
export interface Take {
  readonly kind: 'take';
  readonly call: CallId;
  readonly operation: SessionOperation;
  readonly epoch: Term;
  readonly m: number;
  readonly query: Query;
  readonly waitEnded: boolean;
  readonly cancelled: boolean;
}
/** A change of one partition that does not wait. Sent again with a higher m only for a new epoch. */
export interface Mutate {
  readonly kind: 'mutate';
  readonly call: CallId;
  readonly operation: Operation | undefined;
  readonly epoch: Term;
  readonly m: number;
  readonly change: Change;
}
export type Change =
  | { readonly kind: 'write'; readonly space: SpaceId; readonly tuples: readonly NewTuple[] }
  | {
      readonly kind: 'write-if-absent';
      readonly space: SpaceId;
      readonly tuple: NewTuple;
      readonly absent: Template;
    }
  | {
      readonly kind: 'replace';
      readonly space: SpaceId;
      readonly target: Template | { readonly tuple: TupleId; readonly revision: LogIndex };
      /** Slot of the new tuple: the target must have the same, else ROUTE_CHANGES. */
      readonly slot: Slot;
      readonly bytes: Uint8Array;
      readonly leaseMs: number | 'keep';
    }
  | {
      readonly kind: 'increment';
      readonly space: SpaceId;
      readonly template: Template;
      /** Position of the field, from 0. */
      readonly field: number;
      /** Stored encoding of one value, an int or a float. */
      readonly delta: Uint8Array;
    }
  | { readonly kind: 'cancel'; readonly space: SpaceId; readonly tuple: TupleId }
  | {
      readonly kind: 'renew';
      readonly space: SpaceId;
      readonly tuple: TupleId;
      readonly leaseMs: number | undefined;
    };
/** A read, blocking or not, of this partition. Sent again for a new epoch, the wait's end or a cancel. */
export interface Read {
  readonly kind: 'read';
  readonly call: CallId;
  readonly m: number;
  readonly query: Query;
  readonly states: readonly ('ready' | 'handed')[];
  readonly waitEnded: boolean;
  readonly cancelled: boolean;
}
export interface Count {
  readonly kind: 'count';
  readonly call: CallId;
  readonly space: SpaceId;
  readonly template: Template | undefined;
  readonly states: readonly ('ready' | 'handed')[];
}
/** K3, for one partition. */
export interface Acknowledge {
  readonly kind: 'acknowledge';
  readonly call: CallId;
  readonly session: SessionId;
  readonly floor: Sequence;
  readonly receipts: readonly { readonly sequence: Sequence; readonly tuple: TupleId }[];
}
export interface OpenSession {
  readonly kind: 'open-session';
  readonly call: CallId;
  readonly leaseMs: number;
  readonly name: string;
}
/** Answered by the home's leader without a log entry. */
export interface KeepSession {
  readonly kind: 'keep-session';
  readonly call: CallId;
  readonly session: SessionId;
}
export interface CloseSession {
  readonly kind: 'close-session';
  readonly call: CallId;
  readonly session: SessionId;
}
/** All of a space's tuples go; answered with 'done' when the last has gone. */
export interface DropSpace {
  readonly kind: 'drop-space';
  readonly call: CallId;
  readonly space: SpaceId;
}

export type ToLeader =
  | Register
  | Accept
  | Decline
  | Withdraw
  | Fence
  | Take
  | Mutate
  | Read
  | Count
  | Acknowledge
  | OpenSession
  | KeepSession
  | CloseSession
  | DropSpace;

/** What a leader says about a call. */
export type Answer =
  /** W2. The operation is for a router that does not know the call any more: it withdraws (C2). */
  | { readonly kind: 'offer'; readonly operation: SessionOperation; readonly offer: number }
  /** For a take or a mutation that was executed; for a pinned take with the m it answers. */
  | { readonly kind: 'result'; readonly result: Result; readonly m: number }
  | { readonly kind: 'stop'; readonly why: Refusal }
  /** Answer to the ACCEPT of this offer, which the leader of `offerEpoch` made (C3). */
  | { readonly kind: 'miss'; readonly offerEpoch: Term; readonly offer: number }
  | { readonly kind: 'empty' }
  | { readonly kind: 'fenced' }
  /** T5, and a read's end: nothing matched, or it was cancelled. */
  | { readonly kind: 'nothing'; readonly m: number; readonly cancelled: boolean }
  /** A mutation that changed nothing: no match, or a match where absence was asked for. */
  | { readonly kind: 'unchanged'; readonly m: number }
  /** Refused for a reason of proto/errors.json, definitely not done by the sending of this m (r). */
  | {
      readonly kind: 'refused';
      readonly reason: ErrorReason;
      readonly message: string;
      readonly m: number;
      /** An earlier sending of the same identity may have acted, or may yet: nothing is definite. */
      readonly inDoubt?: boolean;
    }
  | { readonly kind: 'found'; readonly tuples: readonly StoredTuple[]; readonly m: number }
  | { readonly kind: 'counted'; readonly count: number }
  | { readonly kind: 'received' }
  | { readonly kind: 'session-opened'; readonly session: SessionId; readonly leaseMs: number }
  | { readonly kind: 'session-kept'; readonly leaseMs: number }
  | { readonly kind: 'done' }
  /** This replica no longer leads, or not yet: ask again. `definite`: nothing was proposed. */
  | { readonly kind: 'not-leader'; readonly definite: boolean };

/** What a leader sends to a coordinator; `partition` and `epoch` say who speaks. */
export type FromLeader = {
  readonly call: CallId;
  readonly partition: PartitionId;
  readonly epoch: Term;
} & Answer;

/** Between leaders of partitions: S1 to S3. `epoch` is the sender's for questions, echoed in answers. */
export type BetweenLeaders =
  /** S1: a partition asks the session's home. */
  | {
      readonly kind: 'ask-open';
      readonly session: SessionId;
      readonly from: PartitionId;
      readonly epoch: Term;
    }
  /** S1: TOUCH is applied. The asker takes it only for its own epoch (S3). */
  | { readonly kind: 'open'; readonly session: SessionId; readonly epoch: Term }
  | { readonly kind: 'not-open'; readonly session: SessionId; readonly epoch: Term }
  /** S2: the home delivers the end until it is applied there. */
  | { readonly kind: 'deliver-end'; readonly session: SessionId; readonly home: PartitionId }
  | { readonly kind: 'end-applied'; readonly session: SessionId; readonly from: PartitionId };
