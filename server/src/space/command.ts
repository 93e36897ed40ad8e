/**
 * What a partition's log says: decisions, never queries. A leader has matched already; whoever
 * applies an entry needs ids alone, and replicas cannot disagree about a match. The checks that
 * PROTOCOL §2 names are made again when an entry is applied, on every replica.
 */
import type {
  Attempt,
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  TupleId,
} from '../base/ids.ts';

/** One sending of one operation of a session, with the client's lowest open sequence (PROTOCOL: op, a, f). */
export interface SessionOperation {
  readonly kind: 'session';
  readonly session: SessionId;
  readonly sequence: Sequence;
  readonly attempt: Attempt;
  readonly floor: Sequence;
}

/** A request without a session that its caller may send again (SPEC §4). */
export interface RequestOperation {
  readonly kind: 'request';
  /** The caller's 1 to 64 bytes, as lower-case hex. */
  readonly requestId: string;
  /** The space of what is asked for: ids of one space say nothing in another. */
  readonly space: SpaceId;
}

/** Who asks; `undefined` where nothing is remembered. */
export type Operation = SessionOperation | RequestOperation;

/** A tuple to be written. Its id and revision are given when it is applied. */
export interface NewTuple {
  readonly slot: Slot;
  /** Stored encoding, canonical, already checked. */
  readonly bytes: Uint8Array;
  /** Lease from the entry's stamp on; undefined: for ever. */
  readonly leaseMs: number | undefined;
}

/** E3 `WRITE`: all tuples or none. */
export interface WriteCommand {
  readonly kind: 'write';
  readonly operation: Operation | undefined;
  readonly space: SpaceId;
  readonly tuples: readonly NewTuple[];
  /** Write-if-absent: void unless this is still the last change of the slot in this space. */
  readonly absence: { readonly slot: Slot; readonly lastChange: LogIndex } | undefined;
  /** Hand-overs in the same entry: `tuple` is a position in `tuples`; each tuple at most once. */
  readonly handOvers: readonly { readonly tuple: number; readonly to: SessionOperation }[];
}

/** E1 `ACCEPT` and E2 `HAND`: they do the same when applied. All tuples or none. */
export interface HandCommand {
  readonly kind: 'hand';
  readonly operation: SessionOperation;
  readonly tuples: readonly TupleId[];
}

/** E4. */
export interface FenceCommand {
  readonly kind: 'fence';
  readonly operation: SessionOperation;
}

/** E5, for several tuples of one session; raises the floor as every entry of a session does. */
export interface ReceiptCommand {
  readonly kind: 'receipt';
  readonly session: SessionId;
  readonly floor: Sequence;
  readonly receipts: readonly { readonly sequence: Sequence; readonly tuple: TupleId }[];
}

/** One tuple takes a new form; it keeps id and age. Void unless it is ready and has `revision`. */
export interface ReplaceCommand {
  readonly kind: 'replace';
  readonly operation: Operation | undefined;
  readonly tuple: TupleId;
  readonly revision: LogIndex;
  readonly bytes: Uint8Array;
  /** `keep`: the old lease goes on. */
  readonly leaseMs: number | 'keep';
}

/** Removes a ready tuple by id; nothing where it is not ready. */
export interface CancelCommand {
  readonly kind: 'cancel';
  readonly operation: Operation | undefined;
  readonly tuple: TupleId;
}

/** Gives a tuple (ready or handed over) a new lease from the entry's stamp on. */
export interface RenewCommand {
  readonly kind: 'renew';
  readonly operation: Operation | undefined;
  readonly tuple: TupleId;
  readonly leaseMs: number | undefined;
}

/** E9: removes ready tuples whose lease is over; at most 1,000 tuples and 1 MiB. Others are passed over. */
export interface ExpireCommand {
  readonly kind: 'expire';
  readonly tuples: readonly TupleId[];
}

/** At home: a session begins; its id is given when applied. */
export interface OpenSessionCommand {
  readonly kind: 'open-session';
  readonly leaseMs: number;
  readonly name: string;
}

/** E6 `TOUCH`, at home. */
export interface TouchCommand {
  readonly kind: 'touch';
  readonly session: SessionId;
  readonly partition: PartitionId;
}

/** E7 `KNOW`. */
export interface KnowCommand {
  readonly kind: 'know';
  readonly session: SessionId;
}

/** E8 `END`, at home and then in every touched partition. Gives back what fits it; `give-back` the rest. */
export interface EndCommand {
  readonly kind: 'end';
  readonly session: SessionId;
}

/**
 * Gives back tuples whose session has ended, or whose operation lies below its floor, at most 1,000
 * and 1 MiB an entry: what the entry that let them go had no room for.
 */
export interface GiveBackCommand {
  readonly kind: 'give-back';
}

/** At home: every touched partition has applied the end; its record goes. */
export interface ForgetSessionCommand {
  readonly kind: 'forget-session';
  readonly session: SessionId;
}

/** Removes all tuples of a dropped space, at most 1,000 and 1 MiB an entry, oldest first. */
export interface DropSpaceCommand {
  readonly kind: 'drop-space';
  readonly space: SpaceId;
}

/** The first entry of a leadership (L1); carries the stamp and nothing else. */
export interface LeadCommand {
  readonly kind: 'lead';
}

export type Command =
  | WriteCommand
  | HandCommand
  | FenceCommand
  | ReceiptCommand
  | ReplaceCommand
  | CancelCommand
  | RenewCommand
  | ExpireCommand
  | OpenSessionCommand
  | TouchCommand
  | KnowCommand
  | EndCommand
  | GiveBackCommand
  | ForgetSessionCommand
  | DropSpaceCommand
  | LeadCommand;

/** One entry of a partition's log. Invariant: stamps never fall. */
export interface Entry {
  readonly stampMs: StampMs;
  readonly command: Command;
}
