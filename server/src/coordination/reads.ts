import { FieldOffsets, matchTuple, limits as shared, type Template } from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import type { StoredTuple } from '../space/outcome.ts';
import type { HandedRows } from './handed-rows.ts';
import type { LeaderContext } from './leader-context.ts';
import type { CallId, CoordinatorId, Count, Query, Read } from './messages.ts';
import type { RowNumber } from './ports.ts';
import { tooManyWaiters } from './session-load.ts';
import type { TupleMatcher } from './tuple-matcher.ts';
import type { Waiting } from './waiting.ts';
import { WaitingIndex } from './waiting-index.ts';
import type { LinePlace } from './waiting-places.ts';

/** Bytes that a tuple may cost in an answer besides its fields. */
const envelopeBytes = 96;

type States = readonly ('ready' | 'handed')[];

class WaitingRead implements Waiting {
  readonly coordinator: CoordinatorId;
  readonly call: CallId;
  readonly query: Query;
  readonly states: States;
  readonly arrivalMs: number;
  readonly serial: number;
  m: number;
  /** Fresh matches that it still lacks before looking is worth while; for min above 1. */
  lacking = 1;
  /** The tuple that woke it, as it was then; undefined: it sleeps. */
  woken: StoredTuple | undefined = undefined;
  place: LinePlace | undefined = undefined;

  constructor(
    from: CoordinatorId,
    { call, query, states, m }: Read,
    arrival: readonly [number, number],
  ) {
    this.coordinator = from;
    this.call = call;
    this.query = query;
    this.states = states;
    this.m = m;
    [this.arrivalMs, this.serial] = arrival;
  }
}

/** Reads and counts: answered from the applied state, locked tuples included, once confirmed (L3). */
export class Reads {
  readonly #context: LeaderContext;
  readonly #matcher: TupleMatcher;
  readonly #handed: HandedRows;
  readonly #serial: () => number;
  readonly #offsets = new FieldOffsets();
  readonly #waiting = new WaitingIndex<WaitingRead>();
  readonly #calls = new Map<CoordinatorId, Map<CallId, WaitingRead>>();
  #woken: WaitingRead[] = [];

  constructor(options: {
    readonly context: LeaderContext;
    readonly matcher: TupleMatcher;
    readonly handed: HandedRows;
    readonly serial: () => number;
  }) {
    this.#context = options.context;
    this.#matcher = options.matcher;
    this.#handed = options.handed;
    this.#serial = options.serial;
  }

  /** Reads that wait. */
  get count(): number {
    return this.#waiting.count;
  }

  /** Whether a transition may wake somebody. */
  get isWaiting(): boolean {
    return this.#waiting.count > 0;
  }

  read(from: CoordinatorId, message: Read): void {
    const { call, query, states, m } = message;
    const waiting = this.#calls.get(from)?.get(call);
    if (waiting !== undefined && m <= waiting.m) return;
    if (waiting !== undefined) waiting.m = m;
    const found = message.cancelled ? [] : this.#find(query, states);
    const isEnough = found.length > 0 && found.length >= Math.min(query.min, query.max);
    if (isEnough || message.cancelled || message.waitEnded) {
      if (waiting !== undefined) this.#remove(waiting);
      if (isEnough) this.#sayFound(from, call, m, found);
      else this.#sayNothing(from, call, m, message.cancelled);
      return;
    }
    if (waiting === undefined) this.#wait(from, message);
    else waiting.lacking = query.min - found.length;
  }

  tally(from: CoordinatorId, { call, space, template, states }: Count): void {
    const view = this.#context.space;
    let count = 0;
    // Kept counts hold tuples whose lease is over until they expire: while there are none, they are right.
    const isExact = template === undefined && view.nextDeadlineMs() > view.stampMs;
    if (states.includes('ready')) {
      count += isExact ? view.counts(space).ready : this.#countVisible(space, template);
    }
    if (states.includes('handed')) {
      if (template === undefined) count += view.counts(space).handed;
      else {
        for (const row of this.#handed.ofSpace(space)) if (this.#matches(template, row)) count += 1;
      }
    }
    this.#context.confirm(() => this.#context.answer(from, call, { kind: 'counted', count }));
  }

  #countVisible(space: SpaceId, template: Template | undefined): number {
    const view = this.#context.space;
    const walk = this.#matcher.walk(space, template);
    let count = 0;
    for (let row = walk.next(); row >= 0; row = walk.next()) {
      if (view.rows.visible(row, view.stampMs)) count += 1;
    }
    return count;
  }

  /** A tuple came into a state, inside `apply`: wakes all reads that match; `offsets` has scanned it. */
  arrived(
    row: RowNumber,
    state: 'ready' | 'handed',
    bytes: Uint8Array,
    offsets: FieldOffsets,
  ): void {
    if (this.#waiting.count === 0) return;
    const view = this.#context.space;
    let stored: StoredTuple | undefined;
    for (const waiting of this.#waiting.all(view.rows.space(row), bytes, offsets)) {
      if (!waiting.states.includes(state)) continue;
      waiting.lacking -= 1;
      if (waiting.lacking > 0 || waiting.woken !== undefined) continue;
      stored ??= view.stored(row);
      waiting.woken = stored;
      this.#woken.push(waiting);
    }
  }

  /** Answers the reads that were woken: with what is there now, or with what woke them. */
  settle(): void {
    if (this.#woken.length === 0) return;
    const woken = this.#woken;
    this.#woken = [];
    for (const waiting of woken) {
      const { query, states, woken: by } = waiting;
      waiting.woken = undefined;
      if (waiting.place === undefined || by === undefined) continue;
      let found = query.max > 1 ? this.#find(query, states) : [by];
      if (found.length < query.min) {
        waiting.lacking = query.min - found.length;
        if (query.min > 1) continue;
        // It was handed over by the entry that wrote it (E3): there for a moment, and seen.
        found = [by];
      }
      this.#remove(waiting);
      this.#sayFound(waiting.coordinator, waiting.call, waiting.m, found);
    }
  }

  /** The reads of a router that is gone go. */
  dropCoordinator(coordinator: CoordinatorId): void {
    for (const waiting of [...(this.#calls.get(coordinator)?.values() ?? [])])
      this.#remove(waiting);
  }

  #wait(from: CoordinatorId, message: Read): void {
    const refusal = tooManyWaiters(this.#context, this.#waiting.count);
    if (refusal !== undefined) {
      this.#context.answer(from, message.call, { ...refusal, m: message.m });
      return;
    }
    const arrivalMs = this.#context.nowMs - (message.query.waitedMs ?? 0);
    const waiting = new WaitingRead(from, message, [arrivalMs, this.#serial()]);
    this.#waiting.add(waiting);
    const calls = this.#calls.get(from);
    if (calls === undefined) this.#calls.set(from, new Map([[message.call, waiting]]));
    else calls.set(message.call, waiting);
  }

  #remove(waiting: WaitingRead): void {
    this.#waiting.remove(waiting);
    const calls = this.#calls.get(waiting.coordinator);
    calls?.delete(waiting.call);
    if (calls?.size === 0) this.#calls.delete(waiting.coordinator);
  }

  /** The oldest matches in the given states, up to `max` and what fits one answer. */
  #find({ space, template, max }: Query, states: States): StoredTuple[] {
    const view = this.#context.space;
    const rows = states.includes('ready') ? this.#readyRows(space, template, max) : [];
    if (states.includes('handed')) {
      const handed = this.#handed.ofSpace(space).filter((row) => this.#matches(template, row));
      rows.push(...handed);
      rows.sort((a, b) => view.idOf(a) - view.idOf(b));
    }
    const found: StoredTuple[] = [];
    let bytes = 0;
    for (const row of rows) {
      bytes += view.rows.size(row) + envelopeBytes;
      if (found.length === max || (bytes > shared.messageBytesMax && found.length > 0)) break;
      found.push(view.stored(row));
    }
    return found;
  }

  #readyRows(space: Query['space'], template: Query['template'], max: number): RowNumber[] {
    const view = this.#context.space;
    const rows: RowNumber[] = [];
    const walk = this.#matcher.walk(space, template);
    for (let row = walk.next(); row >= 0 && rows.length < max; row = walk.next()) {
      if (view.rows.visible(row, view.stampMs)) rows.push(row);
    }
    return rows;
  }

  #matches(template: Query['template'], row: RowNumber): boolean {
    const bytes = this.#context.space.bytesOf(row);
    return matchTuple(template, bytes, this.#offsets.scan(bytes));
  }

  #sayFound(to: CoordinatorId, call: CallId, m: number, tuples: readonly StoredTuple[]): void {
    this.#context.confirm(() => this.#context.answer(to, call, { kind: 'found', tuples, m }));
  }

  #sayNothing(to: CoordinatorId, call: CallId, m: number, cancelled: boolean): void {
    this.#context.confirm(() => this.#context.answer(to, call, { kind: 'nothing', m, cancelled }));
  }
}
