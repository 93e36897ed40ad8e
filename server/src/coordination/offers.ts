import type { TupleId } from '../base/ids.ts';
import type { LeaderContext } from './leader-context.ts';
import type { Line } from './line.ts';
import type { Locks } from './locks.ts';
import type { Accept, CoordinatorId, Decline, Fence, Register, Withdraw } from './messages.ts';
import { busyReason } from './session-load.ts';
import { Waiter } from './waiter.ts';

/** PROTOCOL §6: the leader's side of unpinned takes. */
export class Offers {
  readonly #context: LeaderContext;
  readonly #line: Line;
  readonly #locks: Locks;
  #serial: () => number;

  constructor(context: LeaderContext, line: Line, locks: Locks, serial: () => number) {
    this.#context = context;
    this.#line = line;
    this.#locks = locks;
    this.#serial = serial;
  }

  /** W1. */
  register(from: CoordinatorId, message: Register): void {
    const { call, operation, r, query } = message;
    const { space, nowMs } = this.#context;
    const admitted = space.admit(operation);
    if (admitted !== 'ok') {
      this.#context.answer(from, call, { kind: 'stop', why: admitted });
      return;
    }
    const result = space.result(operation);
    if (result !== undefined) {
      this.#context.answer(from, call, { kind: 'result', result, m: 0 });
      return;
    }
    const waiter = this.#line.waiters.get(operation);
    if (waiter !== undefined) {
      if (waiter.operation.attempt > operation.attempt) return;
      if (waiter.operation.attempt === operation.attempt) {
        if (waiter.coordinator === from) this.#again(waiter, r);
        return;
      }
      // An older attempt that no fence of this leadership has met: it has no say any more.
      if (waiter.state === 'logged') this.#line.detach(waiter);
      else this.#line.remove(waiter);
    }
    const refusal = busyReason(this.#context, operation, this.#line.waiters.count);
    if (refusal !== undefined) {
      this.#context.answer(from, call, { ...refusal, m: r });
      return;
    }
    const arrivalMs = Math.floor(nowMs - (query.waitedMs ?? 0));
    this.#line.add(
      new Waiter({
        operation,
        coordinator: from,
        call,
        query,
        isPinned: false,
        arrivalMs,
        serial: this.#serial(),
        number: r,
      }),
    );
  }

  /** W1 for a waiter that is there: an older r was overtaken. */
  #again(waiter: Waiter, r: number): void {
    if (r <= waiter.number) return;
    waiter.number = r;
    waiter.isTold = false;
    if (waiter.state === 'logged') return;
    if (waiter.state === 'offered') {
      this.#line.sendOffer(waiter);
      return;
    }
    if (waiter.state === 'paused') {
      waiter.offer = 0;
      waiter.tuples = [];
    }
    this.#line.match(waiter);
  }

  /** W5. */
  accept(from: CoordinatorId, message: Accept): void {
    const { call, operation, epoch, offer } = message;
    const { space } = this.#context;
    // A leadership that this one does not know of yet made the offer: only it knows what came of it.
    if (epoch > this.#context.epoch) {
      this.#context.answer(from, call, { kind: 'not-leader', definite: true });
      return;
    }
    const waiter = this.#line.waiters.get(operation);
    const isCurrent =
      waiter !== undefined &&
      waiter.operation.attempt === operation.attempt &&
      epoch === this.#context.epoch &&
      offer === waiter.offer;
    if (isCurrent && waiter.state === 'logged') return;
    const admitted = space.admit(operation);
    if (admitted !== 'ok') {
      if (isCurrent) this.#line.remove(waiter);
      this.#context.answer(from, call, { kind: 'stop', why: admitted });
      return;
    }
    if (isCurrent && this.#canHand(waiter, waiter.tuples)) {
      waiter.operation = operation;
      this.#line.logHand(waiter, waiter.tuples);
      return;
    }
    if (isCurrent) this.#line.pause(waiter);
    const result = space.result(operation);
    if (result !== undefined) this.#context.answer(from, call, { kind: 'result', result, m: 0 });
    else this.#context.answer(from, call, { kind: 'miss', offerEpoch: epoch, offer });
  }

  /** W6: an r that is not above the waiter's was overtaken by a REGISTER, and is not obeyed. */
  decline({ operation, epoch, r }: Decline): void {
    if (epoch !== this.#context.epoch) return;
    const waiter = this.#line.waiters.get(operation);
    if (waiter === undefined || waiter.operation.attempt !== operation.attempt) return;
    if (waiter.state === 'logged' || r <= waiter.number) return;
    waiter.number = r;
    this.#line.pause(waiter);
  }

  /** W6, CANCEL. */
  withdraw(from: CoordinatorId, { operation }: Withdraw): void {
    const waiter = this.#line.waiters.get(operation);
    if (waiter === undefined || waiter.coordinator !== from) return;
    if (waiter.operation.attempt !== operation.attempt || waiter.state === 'logged') return;
    this.#line.remove(waiter);
  }

  /** E4. A fence of this very attempt that is applied already is answered without an entry. */
  fence(from: CoordinatorId, { call, operation }: Fence): void {
    const { space } = this.#context;
    const admitted = space.admit(operation);
    if (admitted !== 'ok') {
      this.#context.answer(from, call, { kind: 'stop', why: admitted });
      return;
    }
    if (space.fenceOf(operation.session, operation.sequence) === operation.attempt) {
      const result = space.result(operation);
      if (result === undefined) this.#context.answer(from, call, { kind: 'fenced' });
      else this.#context.answer(from, call, { kind: 'result', result, m: 0 });
      return;
    }
    this.#context.propose({ kind: 'fence', operation }, (outcome) => {
      if (outcome.kind === 'stop') {
        this.#context.answer(from, call, { kind: 'stop', why: outcome.why });
        return;
      }
      this.#line.dropBelow(operation);
      if (outcome.kind === 'result') {
        this.#context.answer(from, call, { kind: 'result', result: outcome.result, m: 0 });
      } else this.#context.answer(from, call, { kind: 'fenced' });
    });
  }

  #canHand(waiter: Waiter, tuples: readonly TupleId[]): boolean {
    const view = this.#context.space;
    return tuples.every((tuple) => {
      const row = view.rowOf(tuple);
      if (row < 0 || !view.rows.visible(row, view.stampMs)) return false;
      return !this.#locks.isLockedByOther(tuple, waiter);
    });
  }
}
