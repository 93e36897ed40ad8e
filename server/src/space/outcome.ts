/** What applying an entry came to; the same on every replica. The leader answers with it. */
import type { LogIndex, SessionId, StampMs, TupleId } from '../base/ids.ts';

/** A tuple as it leaves the space. */
export interface StoredTuple {
  readonly id: TupleId;
  readonly revision: LogIndex;
  /** A copy; may share its memory with others that are soon let go (`Copies`). */
  readonly bytes: Uint8Array;
  readonly deliveries: number;
  readonly writtenAtMs: StampMs;
  /** undefined: never. */
  readonly leaseEndMs: StampMs | undefined;
  readonly state: 'ready' | 'handed';
}

/** What a write left behind. */
export interface WrittenTuple {
  readonly id: TupleId;
  readonly revision: LogIndex;
  readonly leaseEndMs: StampMs | undefined;
}

/** The remembered outcome of an operation (PROTOCOL: result[op]). */
export type Result =
  | { readonly kind: 'handed'; readonly tuples: readonly StoredTuple[] }
  | { readonly kind: 'written'; readonly tuples: readonly WrittenTuple[] }
  | {
      readonly kind: 'replaced';
      readonly written: WrittenTuple;
      readonly old: StoredTuple;
      readonly new: StoredTuple;
    }
  | { readonly kind: 'cancelled'; readonly found: boolean }
  | { readonly kind: 'renewed'; readonly found: boolean; readonly leaseEndMs: StampMs | undefined };

/** Why an operation is not admitted (PROTOCOL §2). */
export type Refusal = 'ended' | 'closed' | 'fenced' | 'unknown-session';

/** One hand-over inside a write, in the order of the command's `handOvers`. */
export type HandOverOutcome =
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'stop'; readonly why: Refusal };

export type Outcome =
  /** The operation's result, fresh or remembered. */
  | {
      readonly kind: 'result';
      readonly result: Result;
      readonly handOvers: readonly HandOverOutcome[];
    }
  /** Not admitted; nothing happened. */
  | { readonly kind: 'stop'; readonly why: Refusal }
  /** What the decision rested on no longer holds; nothing happened. The leader decides again. */
  | { readonly kind: 'miss' }
  /** Fence logged, and there is no earlier result. */
  | { readonly kind: 'fenced' }
  | { readonly kind: 'received' }
  | { readonly kind: 'session-opened'; readonly session: SessionId; readonly leaseMs: number }
  /** TOUCH: whether the session is open at home. KNOW: whether it is known now. */
  | { readonly kind: 'session'; readonly open: boolean }
  | { readonly kind: 'done' };
