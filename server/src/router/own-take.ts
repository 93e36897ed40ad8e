import { type PartitionId, partitionOf, type Term, type TupleId } from '../base/ids.ts';
import type { CallId, FromLeader } from '../coordination/messages.ts';
import type { Call, CallPorts } from './call.ts';
import type { Failure } from './failure.ts';
import { isFailure } from './failure.ts';
import type { OwnOperation, OwnSessions } from './own-sessions.ts';
import type { Answer, Delivery, TakeRequest } from './request.ts';

/** The take that runs now, in a session of the node's own. */
interface Running {
  readonly operation: OwnOperation;
  /** It began when the wait had ended: it looks once, and has no end of its own that is near. */
  readonly isLate: boolean;
  call: CallId | undefined;
}

/** What a take without a session needs besides. */
export interface OwnTakePorts extends CallPorts {
  /** Begins a call of the router's own; the answer may come before this returns. */
  begin(request: TakeRequest, answer: (answer: Answer) => void): CallId;
  /** Ends one politely: it answers "cancelled" or what it came to. */
  cancel(call: CallId): void;
}

/**
 * A take without a session (SPEC §4): it borrows an operation of the node's own sessions and runs
 * as any other take. Its answer carries a `Delivery`, by which the gateway says whether the tuple
 * reached the client's connection.
 */
export class OwnTake implements Call {
  readonly #ports: OwnTakePorts;
  readonly #number: CallId;
  readonly #sessions: OwnSessions;
  readonly #request: TakeRequest;
  readonly #endMs: number;
  /** What runs now; undefined while a session is opened. */
  #running: Running | undefined;
  #moving = false;
  #cancelled = false;
  #abandoned = false;

  constructor(
    ports: OwnTakePorts,
    number: CallId,
    options: { readonly sessions: OwnSessions; readonly request: TakeRequest },
  ) {
    this.#ports = ports;
    this.#number = number;
    this.#sessions = options.sessions;
    this.#request = options.request;
    this.#endMs = ports.nowMs() + options.request.waitMs;
  }

  start(): void {
    this.#sessions.borrow({
      begin: (operation) => this.#begin(operation),
      move: () => this.#move(),
    });
  }

  receive(_message: FromLeader): void {
    // Leaders answer the call that runs inside.
  }
  newEpoch(_partition: number, _epoch: Term): void {
    // As above.
  }
  linkBroken(_partition: number): void {
    // As above.
  }

  endWait(): void {
    // The call inside has the same end. Without one the last moment decides.
  }

  cancel(): void {
    this.#cancelled = true;
    if (this.#running?.call !== undefined) this.#ports.cancel(this.#running.call);
    else if (this.#running === undefined) this.#answer({ kind: 'cancelled' });
  }

  giveUp(): void {
    // The call inside gives up by itself.
    if (this.#running !== undefined && !this.#running.isLate) return;
    const message = 'the node had no session in time in which to run a take without one';
    this.#answer({ kind: 'failed', failure: { reason: 'NO_LEADER', message, retryMs: 100 } });
    // When the session comes, nobody listens: what would be taken then would be nobody's for ever. What
    // a look that began too late finds goes back.
    this.#abandoned = true;
  }

  abandon(): void {
    this.#abandoned = true;
    if (this.#running?.call !== undefined) this.#ports.cancel(this.#running.call);
  }

  #begin(operation: OwnOperation | Failure): void {
    if (isFailure(operation)) {
      this.#answer({ kind: 'failed', failure: operation });
      return;
    }
    if (this.#cancelled || this.#abandoned) {
      operation.empty();
      return;
    }
    const left = this.#endMs - this.#ports.nowMs();
    const isLate = left <= 0 && this.#request.waitMs > 0;
    const running: Running = { operation, isLate, call: undefined };
    this.#running = running;
    const { kind, space, template, max, min } = this.#request;
    const waitMs = Math.max(0, left);
    const own = operation.operation;
    const request: TakeRequest = { kind, space, operation: own, template, max, min, waitMs };
    running.call = this.#ports.begin(request, (answer) => this.#ended(operation, answer));
  }

  #move(): void {
    if (this.#running?.call === undefined) return;
    this.#moving = true;
    this.#ports.cancel(this.#running.call);
  }

  #ended(operation: OwnOperation, answer: Answer): void {
    this.#running = undefined;
    const moved = this.#moving;
    this.#moving = false;
    if (answer.kind === 'found') {
      this.#found(operation, answer);
      return;
    }
    const { reason, partition, onlyByCopy } =
      answer.kind === 'failed' ? answer.failure : nothingFailed;
    if (reason !== 'OUTCOME_UNKNOWN' || partition === undefined) operation.empty();
    else if (onlyByCopy) operation.refused();
    else operation.lost([partition]);
    // Else it would begin again in the same one, over and over, until that is not kept alive any more.
    if (reason === 'SESSION_EXPIRED') operation.expired();
    const listened = !this.#cancelled && !this.#abandoned;
    // A session of ours that ended gave back what it held, and one that retires will: the take
    // begins again in another, whatever became of it there.
    const over =
      answer.kind === 'cancelled' || reason === 'OUTCOME_UNKNOWN' || reason === 'NO_LEADER';
    if (listened && (reason === 'SESSION_EXPIRED' || (moved && over))) {
      this.start();
      return;
    }
    this.#answer(answer);
  }

  #found(operation: OwnOperation, answer: Answer & { readonly kind: 'found' }): void {
    const tuples = answer.tuples.map(({ id }) => id);
    if (this.#abandoned) {
      operation.lost(partitionsOf(tuples));
      return;
    }
    const delivery = new OwnDelivery(operation, tuples);
    this.#answer({ kind: 'found', tuples: answer.tuples, delivery });
  }

  #answer(answer: Answer): void {
    if (!this.#abandoned) this.#ports.answer(this.#number, answer);
  }
}

const nothingFailed: Partial<Failure> = {};

function partitionsOf(tuples: readonly TupleId[]): readonly PartitionId[] {
  return [...new Set(tuples.map(partitionOf))];
}

/** Said once; what is said after that counts for nothing. */
class OwnDelivery implements Delivery {
  readonly #operation: OwnOperation;
  readonly #tuples: readonly TupleId[];

  constructor(operation: OwnOperation, tuples: readonly TupleId[]) {
    this.#operation = operation;
    this.#tuples = tuples;
  }

  delivered(): void {
    this.#operation.delivered(this.#tuples);
  }

  lost(): void {
    this.#operation.lost(partitionsOf(this.#tuples));
  }
}
