import type { ErrorReason } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { PartitionId, Term } from '../base/ids.ts';
import { waitEndLimitMs } from '../base/limits.ts';
import type { SessionOperation } from '../space/command.ts';
import type { CallId, FromLeader, Query } from './messages.ts';
import type { TakeAnswer, TakePorts } from './take-answer.ts';

// What a coordinator knows of one partition of P(op), as bits: a call that waits has sixteen of them.
/** The link to its leader is broken. */
const broken = 1;
const fenced = 2;
/** C6: it was empty at an instant of this call. */
const empty = 4;
/** An offer of it was declined: it is to be registered again (C2). */
const marked = 8;
/** It said that it does not lead, or not yet: what is open there is sent again at a tick. */
const refusing = 16;

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
  /** P(op); kept. */
  readonly partitions: readonly PartitionId[];
  /** The leadership known of a partition; undefined: none. */
  readonly epochOf: (partition: PartitionId) => Term | undefined;
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
  readonly #partitions: readonly PartitionId[];
  /** For each of them the leadership last spoken to; undefined: none is known. */
  readonly #epochs: (Term | undefined)[];
  /** For each of them its bits. */
  readonly #bits: number[];
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

  constructor(options: TakeCoordinatorOptions) {
    const { operation, partitions, nowMs } = options;
    assert(partitions.length > 0, 'a take addresses partitions');
    this.#call = options.call;
    this.#operation = operation;
    this.#query = options.query;
    this.#ports = options.ports;
    this.#partitions = partitions;
    this.#epochs = partitions.map((each) => options.epochOf(each));
    this.#bits = partitions.map(() => 0);
    // Whole, since it is kept.
    this.#beganMs = Math.floor(nowMs);
    this.#nowMs = nowMs;
    this.#state = operation.attempt > 1 ? 'fencing' : 'waiting';
  }

  get call(): CallId {
    return this.#call;
  }

  /** The first of P(op), to stand for all where one is to be named. */
  get partition(): PartitionId {
    return present(this.#partitions[0], 'a take addresses partitions');
  }

  get isFinished(): boolean {
    return this.#state === 'finished';
  }

  /** Sends the first messages (C1). */
  start(): void {
    for (let i = 0; i < this.#partitions.length; i += 1) this.#sendOpen(i);
  }

  receive(message: FromLeader, nowMs: number): void {
    this.#nowMs = nowMs;
    if (message.kind === 'offer') {
      this.#offer(message.partition, message.epoch, message.offer);
      return;
    }
    if (this.#state === 'finished') return;
    const at = this.#partitions.indexOf(message.partition);
    if (at < 0) return;
    switch (message.kind) {
      case 'result': // C1, C8
        this.#finish({ kind: 'result', partition: message.partition, result: message.result });
        return;
      case 'stop': // C8
        this.#finish({ kind: 'stop', why: message.why });
        return;
      case 'fenced':
        this.#fenced(at);
        return;
      case 'miss':
        this.#miss(at, message.offerEpoch, message.offer);
        return;
      case 'empty': // C6
        this.#mark(at, empty);
        this.#conclude();
        return;
      case 'refused':
        this.#refused(message.partition, message.reason, message.message);
        return;
      case 'not-leader':
        this.#mark(at, refusing);
        return;
      default:
    }
  }

  /** C3, C5: another leadership of the partition is known; undefined: it has none. */
  leadership(of: PartitionId, epoch: Term | undefined, nowMs: number): void {
    this.#nowMs = nowMs;
    const at = this.#partitions.indexOf(of);
    const known = this.#epochs[at];
    if (at < 0 || known === epoch) return;
    // Notices may overtake each other; epochs do not.
    if (epoch !== undefined && known !== undefined && epoch < known) return;
    this.#epochs[at] = epoch;
    this.#sendOpen(at);
  }

  /** The link to the partition's leader broke: what was sent may be lost. */
  linkBroken(to: PartitionId): void {
    const at = this.#partitions.indexOf(to);
    if (at >= 0) this.#mark(at, broken);
  }

  /** C3, C5. */
  linkRestored(to: PartitionId, nowMs: number): void {
    this.#nowMs = nowMs;
    const at = this.#partitions.indexOf(to);
    if (at < 0) return;
    this.#unmark(at, broken);
    this.#sendOpen(at);
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

  /**
   * Nobody listens any more, and nothing is answered: its waiters go everywhere at once. An acceptance
   * that is logged stays as it comes out, for the next attempt (W6); one that is not is a MISS (W5).
   */
  abandon(): void {
    if (this.#state !== 'finished') this.#end();
  }

  /** About every 10 ms. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#state === 'finished') return;
    for (let i = 0; i < this.#partitions.length; i += 1) {
      if (!this.#is(i, refusing)) continue;
      this.#unmark(i, refusing);
      this.#sendOpen(i);
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
    const declined = this.#partitions.indexOf(partition);
    if (declined >= 0) this.#mark(declined, marked);
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
  #fenced(at: number): void {
    this.#mark(at, fenced);
    if (this.#state !== 'fencing') return;
    if (this.#without(fenced).length > 0) return;
    this.#state = 'waiting';
    if (!this.#conclude()) this.start();
  }

  /** C3: only for the very offer that is being accepted. C4. */
  #miss(at: number, epoch: Term, offer: number): void {
    const accepted = this.#acceptance;
    if (accepted === undefined || accepted.partition !== this.#partitions[at]) return;
    if (accepted.epoch !== epoch || accepted.offer !== offer) return;
    this.#acceptance = undefined;
    this.#state = 'waiting';
    if (this.#conclude()) return;
    this.#mark(at, marked);
    for (let i = 0; i < this.#partitions.length; i += 1) if (this.#is(i, marked)) this.#sendOpen(i);
  }

  #refused(partition: PartitionId, reason: ErrorReason, message: string): void {
    const refusal: TakeAnswer = { kind: 'refused', reason, message };
    // While earlier attempts are not fenced, or one is accepted, nothing is definite.
    if (this.#state === 'waiting') this.#finish(refusal);
    else if (this.#state === 'accepting') this.#refusal = refusal;
    else {
      const partitions = this.#without(empty);
      this.#finish({
        kind: 'outcome-unknown',
        partitions,
        refusal: { partition, reason, message },
      });
    }
  }

  /** Answers if an answer is due; returns whether the attempt is over. */
  #conclude(): boolean {
    if (this.#state !== 'waiting') return this.#state === 'finished';
    if (this.#isCancelled) this.#finish({ kind: 'cancelled' });
    else if (this.#refusal !== undefined) this.#finish(this.#refusal);
    else if (this.#waitEndedMs !== undefined && this.#without(empty).length === 0) {
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
      this.#finish({ kind: 'outcome-unknown', partitions: this.#without(fenced) });
    } else this.#finish({ kind: 'unavailable', partitions: this.#without(empty) });
  }

  #is(at: number, bit: number): boolean {
    return ((this.#bits[at] ?? 0) & bit) !== 0;
  }

  #mark(at: number, bit: number): void {
    this.#bits[at] = (this.#bits[at] ?? 0) | bit;
  }

  #unmark(at: number, bit: number): void {
    this.#bits[at] = (this.#bits[at] ?? 0) & ~bit;
  }

  /** Partitions that have not been seen empty, or not fenced. */
  #without(bit: number): PartitionId[] {
    return this.#partitions.filter((_, at) => !this.#is(at, bit));
  }

  /** Sends what is open at a partition: FENCE, REGISTER, or the acceptance (C1, C3, C5). */
  #sendOpen(at: number): void {
    const to = this.#partitions[at];
    if (to === undefined || this.#epochs[at] === undefined || this.#is(at, broken)) return;
    const call = this.#call;
    const operation = this.#operation;
    if (this.#state === 'fencing') {
      if (!this.#is(at, fenced)) this.#ports.send(to, { kind: 'fence', call, operation });
      return;
    }
    if (this.#state === 'finished') return;
    if (this.#acceptance?.partition === to) {
      this.#sendAccept(this.#acceptance);
      return;
    }
    this.#unmark(at, marked);
    this.#r += 1;
    const waitedMs = Math.floor(this.#nowMs - this.#beganMs);
    const query = waitedMs > 0 ? { ...this.#query, waitedMs } : this.#query;
    this.#ports.send(to, { kind: 'register', call, operation, r: this.#r, query });
  }

  /** The same acceptance every time (C3). */
  #sendAccept({ partition, epoch, offer }: Acceptance): void {
    const at = this.#partitions.indexOf(partition);
    if (this.#epochs[at] === undefined || this.#is(at, broken)) return;
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
    this.#end();
    this.#ports.finish(answer);
  }

  #end(): void {
    assert(this.#state !== 'finished', 'an attempt ends once');
    this.#state = 'finished';
    this.#acceptance = undefined;
    for (const partition of this.#partitions) this.#withdraw(partition);
  }
}
