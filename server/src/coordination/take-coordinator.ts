import type { ErrorReason } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { PartitionId, Term } from '../base/ids.ts';
import { waitEndLimitMs } from '../base/limits.ts';
import type { SessionOperation } from '../space/command.ts';
import type { CallId, FromLeader, Query } from './messages.ts';
import type { TakeAnswer, TakePorts } from './take-answer.ts';

/** What a coordinator keeps of one partition of P(op). */
interface Partition {
  /** The leadership last spoken to; undefined: none is known. */
  epoch: Term | undefined;
  isBroken: boolean;
  isFenced: boolean;
  /** C6: it was empty at an instant of this call. */
  isEmpty: boolean;
  /** An offer of it was declined: it is to be registered again (C2). */
  isMarked: boolean;
  /** It said that it does not lead, or not yet: what is open there is sent again at a tick. */
  isRefusing: boolean;
}

interface Acceptance {
  readonly partition: PartitionId;
  readonly epoch: Term;
  readonly offer: number;
}

type State = 'fencing' | 'waiting' | 'accepting' | 'finished';

/** What one attempt of an unpinned take is made of. */
export interface TakeCoordinatorOptions {
  readonly call: CallId;
  readonly operation: SessionOperation;
  readonly query: Query;
  /** P(op), with the leadership known of each. */
  readonly partitions: ReadonlyMap<PartitionId, Term | undefined>;
  readonly ports: TakePorts;
  readonly nowMs: number;
}

/**
 * PROTOCOL §5: the coordinator of one attempt of an unpinned take. It lives on the gateway that the
 * client called; times are that node's monotonic milliseconds.
 */
export class TakeCoordinator {
  readonly #call: CallId;
  readonly #operation: SessionOperation;
  readonly #query: Query;
  readonly #ports: TakePorts;
  readonly #partitions = new Map<PartitionId, Partition>();
  readonly #beganMs: number;
  #nowMs: number;
  #state: State;
  // Invariant: there exactly in the state accepting (C3).
  #acceptance: Acceptance | undefined;
  /** C1: counts this attempt's REGISTERs and DECLINEs upwards. */
  #r = 0;
  #waitEndedMs: number | undefined;
  #isCancelled = false;
  /** A refusal that came while an acceptance was in flight. */
  #refusal: TakeAnswer | undefined;

  constructor({ call, operation, query, partitions, ports, nowMs }: TakeCoordinatorOptions) {
    assert(partitions.size > 0, 'a take addresses partitions');
    this.#call = call;
    this.#operation = operation;
    this.#query = query;
    this.#ports = ports;
    this.#beganMs = nowMs;
    this.#nowMs = nowMs;
    this.#state = operation.attempt > 1 ? 'fencing' : 'waiting';
    for (const [partition, epoch] of partitions) {
      this.#partitions.set(partition, {
        epoch,
        isBroken: false,
        isFenced: false,
        isEmpty: false,
        isMarked: false,
        isRefusing: false,
      });
    }
  }

  get isFinished(): boolean {
    return this.#state === 'finished';
  }

  /** Sends the first messages (C1). */
  start(): void {
    for (const partition of this.#partitions.keys()) this.#sendOpen(partition);
  }

  receive(message: FromLeader, nowMs: number): void {
    this.#nowMs = nowMs;
    if (message.kind === 'offer') {
      this.#offer(message.partition, message.epoch, message.offer);
      return;
    }
    if (this.#state === 'finished') return;
    const partition = this.#partitions.get(message.partition);
    if (partition === undefined) return;
    switch (message.kind) {
      case 'result': // C1, C8
        this.#finish({ kind: 'result', partition: message.partition, result: message.result });
        return;
      case 'stop': // C8
        this.#finish({ kind: 'stop', why: message.why });
        return;
      case 'fenced':
        this.#fenced(partition);
        return;
      case 'miss':
        this.#miss(message.partition, message.offerEpoch, message.offer);
        return;
      case 'empty': // C6
        partition.isEmpty = true;
        this.#conclude();
        return;
      case 'refused':
        this.#refused(message.reason, message.message);
        return;
      case 'not-leader':
        partition.isRefusing = true;
        return;
      default:
    }
  }

  /** C3, C5: another leadership of the partition is known; undefined: it has none. */
  leadership(of: PartitionId, epoch: Term | undefined, nowMs: number): void {
    this.#nowMs = nowMs;
    const partition = this.#partitions.get(of);
    if (partition === undefined || partition.epoch === epoch) return;
    // Notices may overtake each other; epochs do not.
    if (epoch !== undefined && partition.epoch !== undefined && epoch < partition.epoch) return;
    partition.epoch = epoch;
    this.#sendOpen(of);
  }

  /** The link to the partition's leader broke: what was sent may be lost. */
  linkBroken(to: PartitionId): void {
    const partition = this.#partitions.get(to);
    if (partition !== undefined) partition.isBroken = true;
  }

  /** C3, C5. */
  linkRestored(to: PartitionId, nowMs: number): void {
    this.#nowMs = nowMs;
    const partition = this.#partitions.get(to);
    if (partition === undefined) return;
    partition.isBroken = false;
    this.#sendOpen(to);
  }

  /** C6: the wait is over; an answer follows within its limit. */
  waitEnded(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#waitEndedMs ??= nowMs;
    this.#conclude();
  }

  /** C7: the caller cancels; an answer follows, within the limit too. */
  cancel(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#isCancelled = true;
    this.#waitEndedMs ??= nowMs;
    this.#conclude();
  }

  /** About every 10 ms. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#state === 'finished') return;
    for (const [of, partition] of this.#partitions) {
      if (!partition.isRefusing) continue;
      partition.isRefusing = false;
      this.#sendOpen(of);
    }
    if (this.#waitEndedMs !== undefined && nowMs - this.#waitEndedMs >= waitEndLimitMs) {
      this.#giveUp();
    }
  }

  /** C2: every offer is answered. */
  #offer(partition: PartitionId, epoch: Term, offer: number): void {
    if (this.#state === 'waiting') {
      this.#state = 'accepting';
      this.#acceptance = { partition, epoch, offer };
      this.#sendAccept(this.#acceptance);
      return;
    }
    if (this.#state !== 'accepting') {
      this.#withdraw(partition);
      return;
    }
    const accepted = this.#acceptance;
    if (accepted?.partition === partition && accepted.epoch === epoch && accepted.offer === offer) {
      return;
    }
    const declined = this.#partitions.get(partition);
    if (declined !== undefined) declined.isMarked = true;
    this.#r += 1;
    this.#ports.send(partition, {
      kind: 'decline',
      call: this.#call,
      operation: this.#operation,
      epoch,
      offer,
      r: this.#r,
    });
  }

  /** C1: nothing is registered before all of P(op) have fenced. */
  #fenced(partition: Partition): void {
    partition.isFenced = true;
    if (this.#state !== 'fencing') return;
    for (const each of this.#partitions.values()) if (!each.isFenced) return;
    this.#state = 'waiting';
    if (this.#conclude()) return;
    for (const of of this.#partitions.keys()) this.#sendOpen(of);
  }

  /** C3: only for the very offer that is being accepted. C4. */
  #miss(partition: PartitionId, epoch: Term, offer: number): void {
    const accepted = this.#acceptance;
    if (accepted === undefined || accepted.partition !== partition) return;
    if (accepted.epoch !== epoch || accepted.offer !== offer) return;
    this.#acceptance = undefined;
    this.#state = 'waiting';
    if (this.#conclude()) return;
    present(this.#partitions.get(partition), 'an offer comes from P(op)').isMarked = true;
    for (const [of, each] of this.#partitions) if (each.isMarked) this.#sendOpen(of);
  }

  #refused(reason: ErrorReason, message: string): void {
    const refusal: TakeAnswer = { kind: 'refused', reason, message };
    // While earlier attempts are not fenced, or one is accepted, nothing is definite.
    if (this.#state === 'waiting') this.#finish(refusal);
    else if (this.#state === 'accepting') this.#refusal = refusal;
    else this.#finish({ kind: 'outcome-unknown', partitions: this.#silent() });
  }

  /** Answers if an answer is due; returns whether the attempt is over. */
  #conclude(): boolean {
    if (this.#state !== 'waiting') return this.#state === 'finished';
    if (this.#isCancelled) this.#finish({ kind: 'cancelled' });
    else if (this.#refusal !== undefined) this.#finish(this.#refusal);
    else if (this.#waitEndedMs !== undefined && this.#silent().length === 0) {
      this.#finish({ kind: 'nothing' });
    }
    return this.isFinished;
  }

  /** C6: the limit after the wait's end has passed. */
  #giveUp(): void {
    const { partition } = this.#acceptance ?? {};
    if (partition !== undefined) {
      this.#finish({ kind: 'outcome-unknown', partitions: [partition] });
    } else if (this.#state === 'fencing') {
      const partitions = [...this.#partitions].filter(([, each]) => !each.isFenced);
      this.#finish({ kind: 'outcome-unknown', partitions: partitions.map(([of]) => of) });
    } else this.#finish({ kind: 'unavailable', partitions: this.#silent() });
  }

  /** Partitions that have not been seen empty. */
  #silent(): PartitionId[] {
    return [...this.#partitions].filter(([, { isEmpty }]) => !isEmpty).map(([of]) => of);
  }

  /** Sends what is open at a partition: FENCE, REGISTER, or the acceptance (C1, C3, C5). */
  #sendOpen(to: PartitionId): void {
    const partition = this.#partitions.get(to);
    if (partition === undefined || partition.epoch === undefined || partition.isBroken) return;
    const call = this.#call;
    const operation = this.#operation;
    if (this.#state === 'fencing') {
      if (!partition.isFenced) this.#ports.send(to, { kind: 'fence', call, operation });
      return;
    }
    if (this.#state === 'finished') return;
    if (this.#acceptance?.partition === to) {
      this.#sendAccept(this.#acceptance);
      return;
    }
    partition.isMarked = false;
    this.#r += 1;
    const waitedMs = this.#nowMs - this.#beganMs;
    const query = waitedMs > 0 ? { ...this.#query, waitedMs } : this.#query;
    this.#ports.send(to, { kind: 'register', call, operation, r: this.#r, query });
  }

  /** The same acceptance every time (C3). */
  #sendAccept({ partition, epoch, offer }: Acceptance): void {
    const { epoch: present, isBroken } = this.#partitions.get(partition) ?? {};
    if (present === undefined || isBroken === true) return;
    this.#ports.send(partition, {
      kind: 'accept',
      call: this.#call,
      operation: this.#operation,
      epoch,
      offer,
    });
  }

  #withdraw(from: PartitionId): void {
    const operation = this.#operation;
    this.#ports.send(from, { kind: 'withdraw', call: this.#call, operation });
  }

  /** C8: the answer, and a courtesy to P(op). */
  #finish(answer: TakeAnswer): void {
    assert(this.#state !== 'finished', 'an attempt ends once');
    this.#state = 'finished';
    this.#acceptance = undefined;
    for (const partition of this.#partitions.keys()) this.#withdraw(partition);
    this.#ports.finish(answer);
  }
}
