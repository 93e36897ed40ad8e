/**
 * What the gateway asks of the router, and what it hears: the contract's calls in our own types.
 * Tuples and templates are opaque bytes, each a whole `Tuple` or `Template` message, not yet
 * checked. The caller may not touch them before the answer has come.
 */
import type {
  Attempt,
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  StampMs,
  TupleId,
} from '../base/ids.ts';
import type { RequestOperation, SessionOperation } from '../space/command.ts';
import type { StoredTuple, WrittenTuple } from '../space/outcome.ts';
import type { Failure } from './failure.ts';

/** Who asks. Which space a request id belongs to is known when the call's space is. */
export type Identity = SessionOperation | Omit<RequestOperation, 'space'>;

/** Which space a call is for: by name, or by id with the epoch of the map it was learnt from. */
export type SpaceRef =
  | { readonly name: string }
  | { readonly id: number; readonly mapEpoch: number };

/** A tuple to be written. */
export interface RequestedTuple {
  readonly bytes: Uint8Array;
  /** undefined: for ever. */
  readonly leaseMs: number | undefined;
}

/** The states a read or count looks at. */
export type States = readonly ('ready' | 'handed')[];

export interface WriteRequest {
  readonly kind: 'write';
  readonly space: SpaceRef;
  readonly operation: Identity | undefined;
  readonly tuple: RequestedTuple;
}
export interface WriteManyRequest {
  readonly kind: 'write-many';
  readonly space: SpaceRef;
  readonly operation: Identity | undefined;
  readonly tuples: readonly RequestedTuple[];
}
export interface WriteIfAbsentRequest {
  readonly kind: 'write-if-absent';
  readonly space: SpaceRef;
  readonly operation: Identity | undefined;
  readonly tuple: RequestedTuple;
  readonly absent: Uint8Array;
}
/** `many` changes only what is said about limits: a plain read has max 1 and min 1. */
export interface ReadRequest {
  readonly kind: 'read';
  readonly space: SpaceRef;
  readonly template: Uint8Array;
  readonly max: number;
  readonly min: number;
  /** 0: if exists. Infinity: for ever. */
  readonly waitMs: number;
  readonly states: States;
}
export interface TakeRequest {
  readonly kind: 'take';
  readonly space: SpaceRef;
  /** undefined: in a session of this node's own (SPEC §4). */
  readonly operation: Identity | undefined;
  readonly template: Uint8Array;
  readonly max: number;
  readonly min: number;
  /** 0: if exists. Infinity: for ever. */
  readonly waitMs: number;
}
/** K1: an attempt of the take that fences the earlier ones and takes nothing itself. */
export interface CancelTakeRequest {
  readonly kind: 'cancel-take';
  readonly space: SpaceRef;
  readonly operation: SessionOperation;
  readonly template: Uint8Array;
}
export interface ReplaceRequest {
  readonly kind: 'replace';
  readonly space: SpaceRef;
  readonly operation: Identity | undefined;
  readonly target: Uint8Array | { readonly tuple: TupleId; readonly revision: LogIndex };
  readonly bytes: Uint8Array;
  readonly leaseMs: number | 'keep';
}
export interface IncrementRequest {
  readonly kind: 'increment';
  readonly space: SpaceRef;
  readonly operation: Identity | undefined;
  readonly template: Uint8Array;
  readonly field: number;
  /** A whole `Value` message. */
  readonly delta: Uint8Array;
}
export interface CountRequest {
  readonly kind: 'count';
  readonly space: SpaceRef;
  /** undefined: everything. */
  readonly template: Uint8Array | undefined;
  readonly states: States;
}
export interface RenewRequest {
  readonly kind: 'renew';
  readonly space: SpaceRef;
  readonly operation: Identity | undefined;
  readonly tuple: TupleId;
  readonly leaseMs: number | undefined;
}
export interface CancelRequest {
  readonly kind: 'cancel';
  readonly space: SpaceRef;
  readonly operation: Identity | undefined;
  readonly tuple: TupleId;
}
/** K3. */
export interface Receipt {
  readonly sequence: Sequence;
  readonly tuple: TupleId;
}
export interface AcknowledgeRequest {
  readonly kind: 'acknowledge';
  readonly session: SessionId;
  readonly floor: Sequence;
  readonly receipts: readonly Receipt[];
  /** Partitions that are to learn the floor even without a receipt. */
  readonly partitions?: readonly PartitionId[];
}
export interface OpenSessionRequest {
  readonly kind: 'open-session';
  readonly leaseMs: number;
  readonly name: string;
}
export interface KeepSessionRequest {
  readonly kind: 'keep-session';
  readonly session: SessionId;
}
export interface CloseSessionRequest {
  readonly kind: 'close-session';
  readonly session: SessionId;
}

/** A call that is answered once. */
export type Request =
  | WriteRequest
  | WriteManyRequest
  | WriteIfAbsentRequest
  | ReadRequest
  | TakeRequest
  | CancelTakeRequest
  | ReplaceRequest
  | IncrementRequest
  | CountRequest
  | RenewRequest
  | CancelRequest
  | AcknowledgeRequest
  | OpenSessionRequest
  | KeepSessionRequest
  | CloseSessionRequest;

/** What "nothing found" says (SPEC §3). */
export type EmptyScope = 'linearizable' | 'each-partition';

/**
 * Where the answer of a take without a session went. The gateway says one of the two, once: the
 * tuple was given to the client's connection, or the connection was gone before.
 */
export interface Delivery {
  delivered(): void;
  lost(): void;
}

/** How a call ended; which kinds belong to which request is said beside them. */
export type Answer =
  /** write, write-if-absent: one tuple, or none where something matched. */
  | { readonly kind: 'written'; readonly tuple: WrittenTuple | undefined }
  /** write-many: one for each tuple, in order. */
  | { readonly kind: 'outcomes'; readonly outcomes: readonly (WrittenTuple | Failure)[] }
  /** read, take, cancel-take. With `delivery` where the take ran in this node's own session. */
  | {
      readonly kind: 'found';
      readonly tuples: readonly StoredTuple[];
      readonly delivery: Delivery | undefined;
    }
  /** read, take. */
  | { readonly kind: 'nothing'; readonly scope: EmptyScope }
  /** read, take, cancel-take. */
  | { readonly kind: 'cancelled' }
  /** replace, increment; undefined: nothing matched. */
  | {
      readonly kind: 'replaced';
      readonly change:
        | { readonly written: WrittenTuple; readonly old: StoredTuple; readonly new: StoredTuple }
        | undefined;
    }
  | { readonly kind: 'counted'; readonly count: number }
  | { readonly kind: 'renewed'; readonly found: boolean; readonly leaseEndMs: StampMs | undefined }
  /** cancel. */
  | { readonly kind: 'removed'; readonly found: boolean }
  /** acknowledge: those whose partitions have logged them. */
  | { readonly kind: 'received'; readonly receipts: readonly Receipt[] }
  | { readonly kind: 'session-opened'; readonly session: SessionId; readonly leaseMs: number }
  | { readonly kind: 'session-kept'; readonly leaseMs: number }
  | { readonly kind: 'session-closed' }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** The first attempt of an operation. */
export const firstAttempt: Attempt = 1 as Attempt;
