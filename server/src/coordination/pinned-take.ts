import { assert } from '../base/assert.ts';
import type { PartitionId, Term } from '../base/ids.ts';
import { waitEndLimitMs } from '../base/limits.ts';
import type { SessionOperation } from '../space/command.ts';
import type { CallId, FromLeader, Query } from './messages.ts';
import type { TakeAnswer, TakePorts } from './take-answer.ts';

/** What one attempt of a pinned take is made of. */
export interface PinnedTakeOptions {
  readonly call: CallId;
  readonly operation: SessionOperation;
  readonly query: Query;
  readonly partition: PartitionId;
  /** The leadership known of the partition. */
  readonly epoch: Term | undefined;
  readonly ports: TakePorts;
  readonly nowMs: number;
}

const broken = 1;
const refused = 2;
const cancelled = 4;
const finished = 8;

/**
 * PROTOCOL §7, T1: the gateway's side of one attempt of a pinned take. What is true or false lies in
 * the bits of one number, since many wait.
 */
export class PinnedTake {
  readonly #call: CallId;
  readonly #operation: SessionOperation;
  readonly #query: Query;
  readonly #partition: PartitionId;
  readonly #ports: TakePorts;
  readonly #beganMs: number;
  #epoch: Term | undefined;
  /** `broken`, `refused`, `cancelled` and `finished`. */
  #bits = 0;
  /** The number of the latest send; 0: none was sent. */
  #m = 0;
  #endedMs: number | undefined;

  constructor({ call, operation, query, partition, epoch, ports, nowMs }: PinnedTakeOptions) {
    this.#call = call;
    this.#operation = operation;
    this.#query = query;
    this.#partition = partition;
    this.#epoch = epoch;
    this.#ports = ports;
    this.#beganMs = Math.floor(nowMs);
  }

  get call(): CallId {
    return this.#call;
  }

  get partition(): PartitionId {
    return this.#partition;
  }

  get isFinished(): boolean {
    return (this.#bits & finished) !== 0;
  }

  start(nowMs: number): void {
    this.#send(nowMs);
  }

  /** RESULT and NOTHING count only if they answer the latest send; STOP always. */
  receive(message: FromLeader): void {
    if (this.isFinished || message.partition !== this.#partition) return;
    switch (message.kind) {
      case 'stop':
        this.#finish({ kind: 'stop', why: message.why });
        return;
      case 'result':
        if (message.m !== this.#m) return;
        this.#finish({ kind: 'result', partition: this.#partition, result: message.result });
        return;
      case 'nothing':
        if (message.m !== this.#m) return;
        this.#finish({ kind: message.cancelled ? 'cancelled' : 'nothing' });
        return;
      case 'refused':
        if (message.m === this.#m) this.#refused(message);
        return;
      case 'not-leader':
        this.#bits |= refused;
        return;
      default:
    }
  }

  /** Another leadership is known; undefined: there is none. */
  leadership(epoch: Term | undefined, nowMs: number): void {
    if (this.#epoch === epoch) return;
    if (epoch !== undefined && this.#epoch !== undefined && epoch < this.#epoch) return;
    this.#epoch = epoch;
    this.#send(nowMs);
  }

  /** The link to the leader broke: what was sent may be lost. */
  linkBroken(): void {
    this.#bits |= broken;
  }

  linkRestored(nowMs: number): void {
    this.#bits &= ~broken;
    this.#send(nowMs);
  }

  /** The wait is over; an answer follows within its limit. */
  waitEnded(nowMs: number): void {
    if (this.#endedMs !== undefined) return;
    this.#endedMs = nowMs;
    this.#send(nowMs);
  }

  /** The caller cancels; an answer follows, within the limit too. */
  cancel(nowMs: number): void {
    if ((this.#bits & cancelled) !== 0) return;
    this.#bits |= cancelled;
    this.#endedMs ??= nowMs;
    this.#send(nowMs);
  }

  /** About every 10 ms. */
  tick(nowMs: number): void {
    if (this.isFinished) return;
    if ((this.#bits & refused) !== 0) {
      this.#bits &= ~refused;
      this.#send(nowMs);
    }
    if (this.#endedMs === undefined || nowMs - this.#endedMs < waitEndLimitMs) return;
    const partitions = [this.#partition];
    // An earlier attempt, or a send of this one, may have got a tuple.
    const isUnknown = this.#m > 0 || this.#operation.attempt > 1;
    this.#finish({ kind: isUnknown ? 'outcome-unknown' : 'unavailable', partitions });
  }

  /** Definite unless an earlier send or attempt may have been carried out. */
  #refused({ reason, message, inDoubt }: FromLeader & { readonly kind: 'refused' }): void {
    if (this.#m === 1 && inDoubt !== true) this.#finish({ kind: 'refused', reason, message });
    else {
      const partition = this.#partition;
      const refusal = { partition, reason, message };
      const onlyByCopy = this.#m === 1 && this.#operation.attempt === 1;
      this.#finish({ kind: 'outcome-unknown', partitions: [partition], refusal, onlyByCopy });
    }
  }

  #send(nowMs: number): void {
    if ((this.#bits & (finished | broken)) !== 0 || this.#epoch === undefined) return;
    this.#m += 1;
    const waitedMs = Math.floor(nowMs - this.#beganMs);
    this.#ports.send(this.#partition, {
      kind: 'take',
      call: this.#call,
      operation: this.#operation,
      epoch: this.#epoch,
      m: this.#m,
      query: waitedMs > 0 ? { ...this.#query, waitedMs } : this.#query,
      waitEnded: this.#endedMs !== undefined,
      cancelled: (this.#bits & cancelled) !== 0,
    });
  }

  #finish(answer: TakeAnswer): void {
    assert(!this.isFinished, 'an attempt ends once');
    this.#bits |= finished;
    this.#ports.finish(answer);
  }
}
