import type { LeaderContext } from './leader-context.ts';
import type { Line } from './line.ts';
import type { CoordinatorId, Take } from './messages.ts';
import type { NewestSends } from './newest-sends.ts';
import { busyReason } from './session-load.ts';
import { Waiter } from './waiter.ts';

/** PROTOCOL §7: the leader's side of pinned takes. */
export class PinnedTakes {
  readonly #context: LeaderContext;
  readonly #line: Line;
  readonly #sends: NewestSends;
  #serial: () => number;

  constructor(context: LeaderContext, line: Line, sends: NewestSends, serial: () => number) {
    this.#context = context;
    this.#line = line;
    this.#sends = sends;
    this.#serial = serial;
  }

  /** T3 to T5, for a sending that T2 let pass and whose session is known or ended. */
  take(from: CoordinatorId, message: Take): void {
    const { call, operation, m } = message;
    const { space } = this.#context;
    // T2: a continuation after KNOW or FENCE whose m was passed meanwhile.
    if (!this.#sends.isNewest(operation, m)) return;
    const admitted = space.admit(operation);
    if (admitted !== 'ok') {
      this.#stop(from, message, admitted);
      return;
    }
    const { session, sequence, attempt } = operation;
    if (attempt > 1 && space.fenceOf(session, sequence) < attempt) {
      this.#fence(from, message);
      return;
    }
    const result = space.result(operation);
    if (result !== undefined) {
      this.#context.answer(from, call, { kind: 'result', result, m });
      return;
    }
    const waiter = this.#line.waiters.get(operation);
    if (waiter === undefined) this.#begin(from, message);
    else this.#again(waiter, from, message);
  }

  /** T3: fenced first, even where a result exists. */
  #fence(from: CoordinatorId, message: Take): void {
    const { operation } = message;
    this.#context.propose({ kind: 'fence', operation }, (outcome) => {
      if (outcome.kind === 'stop') {
        this.#stop(from, message, outcome.why);
        return;
      }
      this.#line.dropBelow(operation);
      this.take(from, message);
    });
  }

  #begin(from: CoordinatorId, message: Take): void {
    const { call, operation, m, query, waitEnded, cancelled } = message;
    const refusal = busyReason(this.#context, operation, this.#line.waiters.count);
    if (refusal !== undefined) {
      this.#context.answer(from, call, { ...refusal, m });
      return;
    }
    const waiter = new Waiter({
      operation,
      coordinator: from,
      call,
      query,
      isPinned: true,
      // Whole, since it is kept; within a millisecond the serial decides.
      arrivalMs: Math.floor(this.#context.nowMs - (query.waitedMs ?? 0)),
      serial: this.#serial(),
      number: m,
    });
    waiter.isWaitEnded = waitEnded;
    waiter.isCancelled = cancelled;
    this.#line.add(waiter);
  }

  /** The same attempt with a new m and flags; with a hand-over in flight, as that comes out (T5). */
  #again(waiter: Waiter, from: CoordinatorId, message: Take): void {
    const { operation, m, waitEnded, cancelled } = message;
    if (waiter.operation.attempt !== operation.attempt || waiter.coordinator !== from) {
      if (waiter.operation.attempt >= operation.attempt) return;
      if (waiter.state === 'logged') this.#line.detach(waiter);
      else this.#line.remove(waiter);
      this.#begin(from, message);
      return;
    }
    waiter.number = m;
    waiter.isWaitEnded ||= waitEnded;
    waiter.isCancelled ||= cancelled;
    if (waiter.state !== 'logged') this.#line.match(waiter);
  }

  #stop(
    from: CoordinatorId,
    { call }: Take,
    why: 'ended' | 'closed' | 'fenced' | 'unknown-session',
  ): void {
    this.#context.answer(from, call, { kind: 'stop', why });
  }
}
