import { FieldOffsets, matchTuple, limits as shared, type Template } from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import type { StoredTuple } from '../space/outcome.ts';
import type { HandedRows } from './handed-rows.ts';
import type { LeaderContext } from './leader-context.ts';
import type { CallId, CoordinatorId, Count, Query, Read } from './messages.ts';
import type { RowNumber } from './ports.ts';
import { MatchCount, type Matches, OldestMatches, Search } from './search.ts';
import { Searches } from './searches.ts';
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
  /** It looks for what there is, and has not done so in one turn. */
  search: Search | undefined = undefined;
  isWaitEnded: boolean;
  place: LinePlace | undefined = undefined;

  constructor(
    from: CoordinatorId,
    { call, query, states, m, waitEnded }: Read,
    arrival: readonly [number, number],
  ) {
    this.coordinator = from;
    this.call = call;
    this.query = query;
    this.states = states;
    this.m = m;
    this.isWaitEnded = waitEnded;
    [this.arrivalMs, this.serial] = arrival;
  }
}

interface Finding {
  readonly search: Search;
  readonly matches: OldestMatches;
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
  readonly #searches = new Searches();
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
    const { call, query, states, m, cancelled, waitEnded } = message;
    const waiting = this.#calls.get(from)?.get(call);
    if (waiting !== undefined && m <= waiting.m) return;
    if (waiting !== undefined) {
      waiting.m = m;
      waiting.isWaitEnded ||= waitEnded;
    }
    if (cancelled) {
      if (waiting !== undefined) this.#remove(waiting);
      this.#sayNothing(from, call, m, true);
      return;
    }
    // It answers when its search is done.
    if (waiting?.search !== undefined) return;
    const finding = this.#look(query, states);
    if (!finding.search.isDone) {
      const reader = waiting ?? this.#wait(from, message);
      if (reader !== undefined) this.#goOnLater(reader, finding);
      return;
    }
    const found = this.#found(query, states, finding);
    const isEnough = found.length >= enoughFor(query);
    if (isEnough || waitEnded) {
      if (waiting !== undefined) this.#remove(waiting);
      if (isEnough) this.#sayFound(from, call, m, found);
      else this.#sayNothing(from, call, m, false);
      return;
    }
    const reader = waiting ?? this.#wait(from, message);
    if (reader !== undefined) reader.lacking = query.min - found.length;
  }

  tally(from: CoordinatorId, message: Count): void {
    const { call, space, template, states } = message;
    const view = this.#context.space;
    // Kept counts hold tuples whose lease is over until they expire: while there are none, they are right.
    const isExact = template === undefined && view.nextDeadlineMs() > view.stampMs;
    if (isExact || !states.includes('ready')) {
      this.#sayCount(from, message, states.includes('ready') ? view.counts(space).ready : 0);
      return;
    }
    const matches = new MatchCount(view);
    const search = this.#search(space, template, matches);
    const say = (): void => {
      const isMeant = (row: RowNumber): boolean =>
        view.rows.space(row) === space && (template === undefined || this.#matches(template, row));
      this.#sayCount(from, message, matches.count(isMeant));
    };
    if (search.isDone) {
      say();
      return;
    }
    const refusal = tooManyWaiters(this.#context, this.#searches.count);
    if (refusal === undefined) this.#searches.add(from, search, say);
    else this.#context.answer(from, call, { ...refusal, m: 0 });
  }

  #sayCount(from: CoordinatorId, { call, space, template, states }: Count, ready: number): void {
    let count = ready;
    if (states.includes('handed')) {
      if (template === undefined) count += this.#context.space.counts(space).handed;
      else {
        for (const row of this.#handed.ofSpace(space)) if (this.#matches(template, row)) count += 1;
      }
    }
    this.#context.confirm(() => this.#context.answer(from, call, { kind: 'counted', count }));
  }

  /** Whether searches go on with the next `goOn`. */
  get isSearching(): boolean {
    return this.#searches.count > 0;
  }

  /** Goes on with the searches that did not end in one turn. */
  goOn(): void {
    if (this.#searches.count > 0) this.#searches.goOn(this.#context.limits.searchSliceRows);
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
      // What is there when its search is done answers it.
      if (waiting.search !== undefined) continue;
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
      if (waiting.place === undefined || by === undefined) continue;
      if (query.max === 1) {
        this.#decide(waiting, [by]);
        continue;
      }
      const finding = this.#look(query, states);
      if (finding.search.isDone) this.#decide(waiting, this.#found(query, states, finding));
      else this.#goOnLater(waiting, finding);
    }
  }

  /** A search for a read that waits is done. */
  #decide(waiting: WaitingRead, found: readonly StoredTuple[]): void {
    const { coordinator, call, m, query, woken: by } = waiting;
    waiting.woken = undefined;
    let tuples = found;
    if (found.length < enoughFor(query)) {
      // One was handed over by the entry that wrote it (E3): there for a moment, and seen.
      if (by !== undefined && enoughFor(query) === 1) tuples = [by];
      else if (!waiting.isWaitEnded) {
        waiting.lacking = query.min - found.length;
        return;
      }
    }
    this.#remove(waiting);
    if (tuples.length >= enoughFor(query)) this.#sayFound(coordinator, call, m, tuples);
    else this.#sayNothing(coordinator, call, m, false);
  }

  /** The reads of a router that is gone go. */
  dropCoordinator(coordinator: CoordinatorId): void {
    for (const waiting of [...(this.#calls.get(coordinator)?.values() ?? [])])
      this.#remove(waiting);
    this.#searches.dropCoordinator(coordinator);
  }

  /** Undefined: too many wait, which is said. */
  #wait(from: CoordinatorId, message: Read): WaitingRead | undefined {
    const refusal = tooManyWaiters(this.#context, this.count);
    if (refusal !== undefined) {
      this.#context.answer(from, message.call, { ...refusal, m: message.m });
      return undefined;
    }
    const arrivalMs = this.#context.nowMs - (message.query.waitedMs ?? 0);
    const waiting = new WaitingRead(from, message, [arrivalMs, this.#serial()]);
    this.#waiting.add(waiting);
    const calls = this.#calls.get(from);
    if (calls === undefined) this.#calls.set(from, new Map([[message.call, waiting]]));
    else calls.set(message.call, waiting);
    return waiting;
  }

  #remove(waiting: WaitingRead): void {
    if (waiting.search !== undefined) this.#searches.drop(waiting.search);
    this.#waiting.remove(waiting);
    const calls = this.#calls.get(waiting.coordinator);
    calls?.delete(waiting.call);
    if (calls?.size === 0) this.#calls.delete(waiting.coordinator);
  }

  /** Looks for the oldest matches, as far as one slice goes. */
  #look({ space, template, max }: Query, states: States): Finding {
    const matches = new OldestMatches(this.#context.space, states.includes('ready') ? max : 0);
    return { matches, search: this.#search(space, template, matches) };
  }

  #search(space: SpaceId, template: Template | undefined, matches: Matches): Search {
    const { searchSliceRows: rowsMax } = this.#context.limits;
    return new Search({ matcher: this.#matcher, space, template, matches, rowsMax });
  }

  #goOnLater(waiting: WaitingRead, { search, matches }: Finding): void {
    waiting.search = search;
    this.#searches.add(waiting.coordinator, search, () => {
      waiting.search = undefined;
      const { query, states } = waiting;
      this.#decide(waiting, this.#found(query, states, { search, matches }));
    });
  }

  /** The oldest matches in the given states, up to `max` and what fits one answer. */
  #found({ space, template, max }: Query, states: States, { matches }: Finding): StoredTuple[] {
    const view = this.#context.space;
    const rows = matches.rows();
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

/** Matches that answer a read. */
function enoughFor({ min, max }: Query): number {
  return Math.max(1, Math.min(min, max));
}
