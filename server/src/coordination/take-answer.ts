import type { ErrorReason } from '@tuplet/proto';
import type { PartitionId } from '../base/ids.ts';
import type { Refusal, Result } from '../space/outcome.ts';
import type { ToLeader } from './messages.ts';

/** What a leader said when it refused a sending; the message names the limit that was reached. */
export interface SendingRefused {
  readonly partition: PartitionId;
  readonly reason: ErrorReason;
  readonly message: string;
}

/** How an attempt of a take ended; exactly one for each attempt. */
export type TakeAnswer =
  /** The tuples, handed over by this partition. */
  | { readonly kind: 'result'; readonly partition: PartitionId; readonly result: Result }
  /** Nothing matched until the wait ended (C6, T5). */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'cancelled' }
  /** C8: the attempt is over; only a session that has ended is worth telling the client. */
  | { readonly kind: 'stop'; readonly why: Refusal }
  /** A leader refused it for a reason of proto/errors.json; definitely nothing was handed over. */
  | { readonly kind: 'refused'; readonly reason: ErrorReason; readonly message: string }
  /** The wait ended, and these partitions did not say that they are empty. Nothing was handed over. */
  | { readonly kind: 'unavailable'; readonly partitions: readonly PartitionId[] }
  /**
   * The wait ended, or a sending was refused, while a hand-over may have been logged: the next attempt
   * fetches it.
   */
  | {
      readonly kind: 'outcome-unknown';
      readonly partitions: readonly PartitionId[];
      readonly refusal?: SendingRefused;
      /** The refused sending was the only one: a hand-over may come of a copy of it alone. */
      readonly onlyByCopy?: boolean;
    };

/** How the callers' side of a take reaches the world; the router implements it. */
export interface TakePorts {
  /** To the present leader of a partition; may be lost. */
  send(to: PartitionId, message: ToLeader): void;
  /** Called once; nothing but WITHDRAW is sent afterwards. */
  finish(answer: TakeAnswer): void;
}
