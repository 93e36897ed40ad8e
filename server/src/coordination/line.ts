import { FieldOffsets } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type { SessionId, SpaceId, TupleId } from '../base/ids.ts';
import { offerLapseMs } from '../base/limits.ts';
import type { SessionOperation } from '../space/command.ts';
import type { HandOverOutcome, Outcome } from '../space/outcome.ts';
import type { Finder, Found } from './finder.ts';
import type { LeaderContext } from './leader-context.ts';
import type { Locks } from './locks.ts';
import type { CoordinatorId } from './messages.ts';
import { noTuples, type Waiter, Waiters } from './waiter.ts';
import { WaitingIndex } from './waiting-index.ts';

interface Lapse {
  readonly waiter: Waiter;
  readonly offer: number;
  readonly atMs: number;
}

/**
 * The waiting takes of a partition, pinned or not, and who gets what (W2). Only idle ones stand in
 * the index. Invariant after `settle`: no idle waiter has a free match.
 */
export class Line {
  readonly waiters: Waiters = new Waiters();
  readonly #context: LeaderContext;
  readonly #locks: Locks;
  readonly #finder: Finder;
  readonly #idle = new WaitingIndex<Waiter>();
  readonly #offsets = new FieldOffsets();
  /** Waiters that are to be matched when the fresh tuples have been given to those before them. */
  #eager: Waiter[] = [];
  // Invariant: ascending by time; offers of this epoch, some of them over.
  #lapses: Lapse[] = [];
  #offerCount = 0;

  constructor(context: LeaderContext, locks: Locks, finder: Finder) {
    this.#context = context;
    this.#locks = locks;
    this.#finder = finder;
  }

  /** Whether anybody stands in line. */
  get isWaiting(): boolean {
    return this.#idle.count > 0;
  }

  /** Waiters to be matched by `settleEager`. */
  get hasEager(): boolean {
    return this.#eager.length > 0;
  }

  /** Adds a waiter last and matches it. */
  add(waiter: Waiter): void {
    this.waiters.add(waiter);
    this.match(waiter);
  }

  /** W2 for one waiter, which becomes idle: gives it what is free; else it stands in line. */
  match(waiter: Waiter): void {
    assert(waiter.state !== 'gone', 'who is matched still waits');
    assert(waiter.state !== 'logged', 'who is matched has no entry in flight');
    if (waiter.isCancelled) {
      this.#sayNothing(waiter);
      return;
    }
    const found = this.#finder.free(waiter.query);
    if (found.isEnough) {
      this.#give(waiter, found.tuples);
      return;
    }
    waiter.state = 'idle';
    waiter.lacking = waiter.query.min - found.tuples.length;
    if (waiter.place === undefined) this.#idle.add(waiter);
    this.#sayEmpty(waiter, found);
  }

  /** Gives a fresh tuple to the first in line whose template matches it. */
  fresh(tuple: TupleId): void {
    if (this.#idle.count === 0) return;
    const view = this.#context.space;
    const row = view.rowOf(tuple);
    if (row < 0 || !view.rows.visible(row, view.stampMs) || !this.#finder.isFree(row)) return;
    const bytes = view.bytesOf(row);
    const waiter = this.#idle.first(
      view.rows.space(row),
      bytes,
      this.#offsets.scan(bytes),
      (each) => each.query.min <= 1 || this.#hasEnough(each),
    );
    if (waiter === undefined) return;
    if (waiter.query.max === 1) this.#give(waiter, [tuple]);
    else this.match(waiter);
  }

  /** The first in line for a tuple that is not written yet. */
  firstIdle(space: SpaceId, bytes: Uint8Array, offsets: FieldOffsets): Waiter | undefined {
    if (this.#idle.count === 0) return undefined;
    return this.#idle.first(space, bytes, offsets, () => true);
  }

  /** Matches the waiters whose hand-over came to nothing. */
  settleEager(): void {
    if (this.#eager.length === 0) return;
    const eager = this.#eager;
    this.#eager = [];
    for (const waiter of eager) {
      if (waiter.state === 'idle' && waiter.place === undefined) this.match(waiter);
    }
  }

  /** E3: the waiter's hand-over goes with a write. */
  beginHandOver(waiter: Waiter): void {
    assert(waiter.state === 'idle', 'who is handed a tuple stands in line');
    assert(waiter.isPinned, 'only a pinned take is handed a tuple with its write');
    this.#idle.remove(waiter);
    waiter.state = 'logged';
    waiter.tuples = noTuples;
  }

  /** E3: what that came to; undefined: the write itself had no effect, and the waiter goes on. */
  settleHandOver(waiter: Waiter, outcome: HandOverOutcome | undefined): void {
    if (outcome === undefined) this.#goOn(waiter);
    else this.#end(waiter, outcome);
  }

  /** E1, E2: logs the hand-over of these tuples, which are free or offered to this waiter. */
  logHand(waiter: Waiter, tuples: readonly TupleId[]): void {
    this.#idle.remove(waiter);
    this.#locks.endOffer(waiter, waiter.tuples);
    waiter.state = 'logged';
    waiter.tuples = tuples;
    for (const tuple of tuples) this.#locks.enter(tuple);
    const { operation } = waiter;
    this.#context.propose({ kind: 'hand', operation, tuples }, (outcome) =>
      this.#settleHand(waiter, tuples, outcome),
    );
  }

  /** The offer goes, its tuples are free again, and the waiter is passed over until it registers. */
  pause(waiter: Waiter): void {
    this.#dropOffer(waiter);
    this.#idle.remove(waiter);
    waiter.state = 'paused';
  }

  /** Sends the outstanding offer (W1, W2). */
  sendOffer({ coordinator, call, operation, offer }: Waiter): void {
    this.#context.answer(coordinator, call, { kind: 'offer', operation, offer });
  }

  /** The waiter is no longer one; nothing is said. */
  remove(waiter: Waiter): void {
    if (waiter.state === 'offered' || waiter.state === 'paused') this.#dropOffer(waiter);
    this.#idle.remove(waiter);
    this.waiters.remove(waiter);
    waiter.state = 'gone';
  }

  /** E4: soft waiters of lower attempts go; one with an entry in flight hears of it at apply. */
  dropBelow(operation: SessionOperation): void {
    const waiter = this.waiters.get(operation);
    if (waiter === undefined || waiter.operation.attempt >= operation.attempt) return;
    if (waiter.state === 'logged') this.detach(waiter);
    else this.#stop(waiter, 'fenced');
  }

  /**
   * A waiter with an entry in flight makes room for a newer attempt. The entry stands behind that
   * attempt's fence in the log, so it will be void, and the waiter hears STOP.
   */
  detach(waiter: Waiter): void {
    assert(waiter.state === 'logged', 'only an entry in flight outlives its waiter');
    this.waiters.remove(waiter);
  }

  /** E8: the waiters of an ended session go. */
  dropSession(session: SessionId): void {
    for (const waiter of this.waiters.ofSession(session)) {
      if (waiter.state !== 'logged') this.#stop(waiter, 'ended');
    }
  }

  /** What a router that is gone had waiting goes; what is logged is not undone. */
  dropCoordinator(coordinator: CoordinatorId): void {
    for (const waiter of [...this.waiters]) {
      if (waiter.coordinator === coordinator && waiter.state !== 'logged') this.remove(waiter);
    }
  }

  /** W4: offers that nobody accepted in time lapse. */
  lapse(): void {
    let over = 0;
    for (const { waiter, offer, atMs } of this.#lapses) {
      if (atMs > this.#context.nowMs) break;
      over += 1;
      if (waiter.state !== 'offered' || waiter.offer !== offer) continue;
      this.#locks.endOffer(waiter, waiter.tuples);
      waiter.state = 'paused';
    }
    if (over > 0) this.#lapses = this.#lapses.slice(over);
  }

  #hasEnough(waiter: Waiter): boolean {
    waiter.lacking -= 1;
    if (waiter.lacking > 0) return false;
    const { isEnough, tuples } = this.#finder.free(waiter.query);
    waiter.lacking = waiter.query.min - tuples.length;
    return isEnough;
  }

  /** W2: unpinned, an offer that locks the tuples; pinned, the entry at once (T4). */
  #give(waiter: Waiter, tuples: readonly TupleId[]): void {
    if (waiter.isPinned) {
      this.logHand(waiter, tuples);
      return;
    }
    this.#idle.remove(waiter);
    this.#offerCount += 1;
    waiter.offer = this.#offerCount;
    waiter.tuples = tuples;
    waiter.state = 'offered';
    this.#locks.offer(waiter, tuples);
    this.#lapses.push({
      waiter,
      offer: waiter.offer,
      atMs: this.#context.nowMs + offerLapseMs,
    });
    this.sendOffer(waiter);
  }

  #dropOffer(waiter: Waiter): void {
    this.#locks.endOffer(waiter, waiter.tuples);
    waiter.offer = 0;
    waiter.tuples = noTuples;
  }

  /** W3, T5: says that nothing is there, or waits until what hides a match is decided. */
  #sayEmpty(waiter: Waiter, found: Found): void {
    const isDue = waiter.isPinned ? waiter.isWaitEnded : !waiter.isTold;
    if (!isDue) return;
    if (found.mayBeEnough && found.hidden !== 0) {
      this.#locks.block(found.hidden, { bytes: 0, reconsider: () => this.#reconsider(waiter) });
      return;
    }
    if (waiter.isPinned) {
      this.#sayNothing(waiter);
      return;
    }
    waiter.isTold = true;
    const { coordinator, call } = waiter;
    this.#context.confirm(() => this.#context.answer(coordinator, call, { kind: 'empty' }));
  }

  #reconsider(waiter: Waiter): void {
    if (waiter.state === 'idle') this.match(waiter);
  }

  /** T5: removed first, so that nothing is handed to it while the leadership is confirmed (L3). */
  #sayNothing(waiter: Waiter): void {
    this.remove(waiter);
    const { coordinator, call, number, isCancelled } = waiter;
    this.#context.confirm(() =>
      this.#context.answer(coordinator, call, {
        kind: 'nothing',
        m: number,
        cancelled: isCancelled,
      }),
    );
  }

  #settleHand(waiter: Waiter, tuples: readonly TupleId[], outcome: Outcome): void {
    for (const tuple of tuples) this.#locks.leave(tuple);
    if (outcome.kind === 'result' || outcome.kind === 'stop') {
      this.#end(waiter, outcome);
      return;
    }
    assert(outcome.kind === 'miss', 'a hand-over gives a result, a stop or a miss');
    if (waiter.isPinned) {
      this.#goOn(waiter);
      return;
    }
    const { coordinator, call, offer } = waiter;
    waiter.offer = 0;
    waiter.tuples = noTuples;
    waiter.state = 'paused';
    this.#context.answer(coordinator, call, {
      kind: 'miss',
      offerEpoch: this.#context.epoch,
      offer,
    });
  }

  /** MISS of a pinned take: matched again when the fresh tuples have gone to those before it. */
  #goOn(waiter: Waiter): void {
    if (this.waiters.get(waiter.operation) !== waiter) {
      waiter.state = 'gone';
      return;
    }
    waiter.state = 'idle';
    waiter.tuples = noTuples;
    this.#eager.push(waiter);
  }

  #end(waiter: Waiter, outcome: HandOverOutcome): void {
    waiter.tuples = noTuples;
    this.remove(waiter);
    const { coordinator, call, number, isPinned } = waiter;
    if (outcome.kind === 'stop') {
      this.#context.answer(coordinator, call, { kind: 'stop', why: outcome.why });
      return;
    }
    const m = isPinned ? number : 0;
    this.#context.answer(coordinator, call, { kind: 'result', result: outcome.result, m });
  }

  #stop(waiter: Waiter, why: 'fenced' | 'ended'): void {
    this.remove(waiter);
    this.#context.answer(waiter.coordinator, waiter.call, { kind: 'stop', why });
  }
}
