/**
 * The leader of one partition for one epoch: all of PROTOCOL's soft state, and the decisions that
 * become log entries. DESIGN.md tells how the parts work together.
 */
import { FieldOffsets } from '@tuplet/proto';
import { assert, present, unreachable } from '../base/assert.ts';
import type { LogIndex, SpaceId, TupleId } from '../base/ids.ts';
import type { Command, SessionOperation } from '../space/command.ts';
import type { Outcome } from '../space/outcome.ts';
import { Admission, type Parked } from './admission.ts';
import { Expiry } from './expiry.ts';
import { Finder } from './finder.ts';
import { GiveBacks } from './give-backs.ts';
import { HandedRows } from './handed-rows.ts';
import { LeaderContext } from './leader-context.ts';
import { Line } from './line.ts';
import { type Blocked, Locks } from './locks.ts';
import type {
  Acknowledge,
  BetweenLeaders,
  CoordinatorId,
  DropSpace,
  Fence,
  Mutate,
  Register,
  Take,
  ToLeader,
} from './messages.ts';
import { Mutations } from './mutations.ts';
import { NewestSends } from './newest-sends.ts';
import { Offers } from './offers.ts';
import { PinnedTakes } from './pinned-takes.ts';
import type { LeaderOptions, RowNumber, RowWatcher } from './ports.ts';
import { Reads } from './reads.ts';
import { Replaces } from './replaces.ts';
import { SessionHome } from './session-home.ts';
import { TupleMatcher } from './tuple-matcher.ts';
import { Writes } from './writes.ts';
import { WritesInFlight } from './writes-in-flight.ts';

/** What `Leader.stats` tells. */
export interface LeaderStats {
  /** Takes and reads that wait. */
  readonly waiters: number;
  /** Tuples locked by offers. */
  readonly offers: number;
  /** Entries proposed and not yet applied. */
  readonly inFlight: number;
  /** Sessions open at home here. */
  readonly sessions: number;
  /** Requests that wait for their session to become known. */
  readonly parked: number;
  /** Calls that wait for a lock to be decided. */
  readonly blocked: number;
  /** Sessions of which sendings are noted. */
  readonly senders: number;
  readonly indexes: number;
  readonly indexBytes: number;
}

/** Made on election; serves from `serve` on (L1); dropped with its epoch. */
export class Leader implements RowWatcher {
  readonly #context: LeaderContext;
  readonly #locks = new Locks();
  readonly #matcher: TupleMatcher;
  readonly #handed: HandedRows;
  readonly #finder: Finder;
  readonly #line: Line;
  readonly #sends: NewestSends;
  readonly #offers: Offers;
  readonly #pinned: PinnedTakes;
  readonly #mutations: Mutations;
  readonly #reads: Reads;
  readonly #admission: Admission;
  readonly #home: SessionHome;
  readonly #expiry: Expiry;
  readonly #giveBacks: GiveBacks;
  readonly #offsets = new FieldOffsets();
  #isServing = false;
  #serials = 0;
  /** Tuples that became ready since the last `#settle`. */
  #fresh: TupleId[] = [];
  /** Whose tuple became free; they decide again where the pipeline has room. */
  readonly #awake: Blocked[] = [];

  constructor(options: LeaderOptions) {
    const context = new LeaderContext(options);
    const { space, limits } = context;
    const serial = (): number => {
      this.#serials += 1;
      return this.#serials;
    };
    this.#context = context;
    this.#matcher = new TupleMatcher(space, limits);
    this.#handed = new HandedRows(space);
    this.#finder = new Finder(context, this.#matcher, this.#locks);
    this.#line = new Line(context, this.#locks, this.#finder);
    this.#sends = new NewestSends(limits.sessionOperationsMax);
    this.#offers = new Offers(context, this.#line, this.#locks, serial);
    this.#pinned = new PinnedTakes(context, this.#line, this.#sends, serial);
    this.#mutations = this.#newMutations();
    this.#reads = new Reads({ context, matcher: this.#matcher, handed: this.#handed, serial });
    this.#admission = new Admission(context, {
      resume: ({ from, message }) => this.#enter(from, message),
      unknown: (session) => this.#sends.drop(session),
    });
    this.#home = new SessionHome(context);
    this.#expiry = new Expiry(context, this.#locks);
    this.#giveBacks = new GiveBacks(context);
  }

  #newMutations(): Mutations {
    const context = this.#context;
    const matcher = this.#matcher;
    const locks = this.#locks;
    const line = this.#line;
    const inFlight = new WritesInFlight();
    const writes = new Writes({ context, line, matcher, handed: this.#handed, locks, inFlight });
    const replaces = new Replaces({
      context,
      matcher,
      finder: this.#finder,
      locks,
      inFlight,
      writes,
    });
    return new Mutations({
      context,
      locks,
      sends: this.#sends,
      writes,
      replaces,
      fenced: (operation) => line.dropBelow(operation),
    });
  }

  /** L1: everything up to an entry of this leadership is applied. From here on it answers. */
  serve(nowMs: number): void {
    assert(!this.#isServing, 'a leader begins to serve once');
    const { space } = this.#context;
    this.#context.nowMs = nowMs;
    this.#isServing = true;
    this.#handed.load();
    space.observer = this;
    this.#home.load();
  }

  /** Whoever made it drops it: nothing is answered, and the space has no watcher any more. */
  stepDown(): void {
    this.#isServing = false;
    const { space } = this.#context;
    if (space.observer === this) space.observer = undefined;
  }

  /** A coordinator or caller asks. */
  receive(from: CoordinatorId, message: ToLeader, nowMs: number): void {
    this.#context.nowMs = nowMs;
    if (!this.#isServing) {
      if (message.kind !== 'withdraw' && message.kind !== 'decline') {
        this.#context.answer(from, message.call, { kind: 'not-leader', definite: true });
      }
      return;
    }
    this.#settle();
    this.#dispatch(from, message);
  }

  /** Another partition's leader asks or answers (S1 to S3). */
  receiveLeader(message: BetweenLeaders, nowMs: number): void {
    this.#context.nowMs = nowMs;
    if (!this.#isServing) return;
    this.#settle();
    switch (message.kind) {
      case 'ask-open':
      case 'end-applied':
        this.#home.receive(message);
        return;
      case 'open':
        this.#admission.open(message.session, message.epoch);
        return;
      case 'not-open':
        this.#admission.notOpen(message.session, message.epoch);
        return;
      case 'deliver-end':
        this.#admission.deliverEnd(message.session);
        return;
      default:
        unreachable(message);
    }
  }

  /**
   * A message that begins work and that its host has no room for. What can be told again is noted as
   * sent (T2), so that no copy of it acts later. `undone`: nothing is done, nor will be; `in-doubt`: an
   * earlier sending may act, or a copy; `known`: it was received before, and is answered elsewhere.
   */
  turnAway(message: ToLeader): 'undone' | 'in-doubt' | 'known' {
    if (message.kind !== 'take' && message.kind !== 'mutate') return 'undone';
    const { operation, epoch, m } = message;
    if (operation === undefined) return 'undone';
    // Whether a request id is sent again cannot be seen: its first sending may wait in the inbox.
    if (operation.kind === 'request' || !this.#isServing || epoch !== this.#context.epoch) {
      return 'in-doubt';
    }
    // Of sessions that are not known nothing is kept.
    if (this.#context.space.session(operation.session) !== 'known') return 'in-doubt';
    const seen = this.#sends.see(operation, m);
    if (seen === 'old') return 'known';
    if (seen === 'new') this.#sends.refused(operation);
    return seen === 'new' || (seen === 'busy' && operation.attempt === 1) ? 'undone' : 'in-doubt';
  }

  /** A router is gone: what it had waiting or offered goes; what is logged is not undone. */
  coordinatorGone(from: CoordinatorId): void {
    if (!this.#isServing) return;
    this.#line.dropCoordinator(from);
    this.#reads.dropCoordinator(from);
    this.#admission.dropCoordinator(from);
  }

  /** An entry was applied, own or not; called after each `space.apply`. */
  applied(index: LogIndex, command: Command, outcome: Outcome, nowMs: number): void {
    this.#context.nowMs = nowMs;
    if (!this.#isServing) return;
    // Those who wait come before those whom this entry lets go on.
    this.#settle();
    this.#context.applied(index, outcome);
    if (command.kind === 'end') this.#sessionEnded(command.session);
  }

  /** The end of a turn: those who wait get what came free, reads are answered, indexes grow, searches go on. */
  flush(nowMs: number): void {
    this.#context.nowMs = nowMs;
    if (!this.#isServing) return;
    // Before anything that came later: what waits in the inbox is not taken while the pipeline is full.
    this.#admission.goOn();
    this.#reconsider();
    this.#settle();
    this.#giveBacks.propose();
    this.#matcher.build();
    this.#reads.goOn();
  }

  /** About every 10 ms. */
  tick(nowMs: number): void {
    this.#context.nowMs = nowMs;
    if (!this.#isServing) return;
    this.#line.lapse();
    this.#expiry.tick();
    this.#home.tick();
    this.#admission.tick();
    this.#settle();
    this.#giveBacks.propose();
    this.#matcher.build();
    this.#reads.goOn();
  }

  /** Whether `flush` has work that goes on from turn to turn. */
  get hasSlices(): boolean {
    return this.#matcher.isBuilding || this.#reads.isSearching;
  }

  /** Whether offers are open, which lapse soon. */
  get hasOffers(): boolean {
    return this.#locks.offerCount > 0;
  }

  stats(): LeaderStats {
    const { indexes, bytes } = this.#matcher.stats();
    return {
      waiters: this.#line.waiters.count + this.#reads.count,
      offers: this.#locks.offerCount,
      inFlight: this.#context.inFlight,
      sessions: this.#home.count,
      parked: this.#admission.parkedCount,
      blocked: this.#locks.blockedCount,
      senders: this.#sends.sessions,
      indexes,
      indexBytes: bytes,
    };
  }

  // What the space tells from inside `apply`.

  ready(row: RowNumber): void {
    const { space } = this.#context;
    const bytes = space.bytesOf(row);
    this.#offsets.scan(bytes);
    this.#handed.remove(row);
    this.#matcher.ready(row, bytes, this.#offsets);
    this.#reads.arrived(row, 'ready', bytes, this.#offsets);
    // Whoever comes later looks at what is there: a tuple is fresh to those who wait now.
    if (this.#line.isWaiting) this.#fresh.push(space.idOf(row));
  }

  unready(row: RowNumber): void {
    const { space } = this.#context;
    this.#matcher.unready(row);
    this.#locks.changed(space.idOf(row));
    if (!space.rows.isHanded(row)) return;
    this.#handed.add(row);
    if (!this.#reads.isWaiting) return;
    const bytes = space.bytesOf(row);
    this.#reads.arrived(row, 'handed', bytes, this.#offsets.scan(bytes));
  }

  removed(row: RowNumber): void {
    this.#handed.remove(row);
  }

  #dispatch(from: CoordinatorId, message: ToLeader): void {
    switch (message.kind) {
      case 'register':
      case 'fence':
        this.#receiveOperation(from, message, message.operation);
        return;
      case 'take':
      case 'mutate':
        this.#receiveSending(from, message);
        return;
      case 'accept':
        this.#offers.accept(from, message);
        return;
      case 'decline':
        this.#offers.decline(message);
        return;
      case 'withdraw':
        this.#admission.withdraw(from, message);
        this.#offers.withdraw(from, message);
        return;
      case 'read':
        this.#reads.read(from, message);
        return;
      case 'count':
        this.#reads.tally(from, message);
        return;
      case 'acknowledge':
        this.#acknowledge(from, message);
        return;
      case 'open-session':
        this.#home.open(from, message);
        return;
      case 'keep-session':
        this.#home.keep(from, message);
        return;
      case 'close-session':
        this.#home.close(from, message);
        return;
      case 'drop-space':
        this.#dropSpace(from, message);
        return;
      default:
        unreachable(message);
    }
  }

  /** T2: of another epoch, or not the newest of its attempt: dropped. */
  #receiveSending(from: CoordinatorId, message: Take | Mutate): void {
    const { operation, epoch, m, call } = message;
    if (epoch > this.#context.epoch) {
      this.#context.answer(from, call, { kind: 'not-leader', definite: true });
      return;
    }
    if (epoch < this.#context.epoch) return;
    if (operation?.kind !== 'session') {
      if (message.kind === 'mutate') this.#mutations.mutate(from, message);
      return;
    }
    if (this.#context.space.session(operation.session) === 'ended') {
      this.#context.answer(from, call, { kind: 'stop', why: 'ended' });
      return;
    }
    const seen = this.#sends.see(operation, m);
    if (seen === 'old') return;
    if (seen === 'busy') {
      const text = `${this.#context.limits.sessionOperationsMax} operations of the session are above its floor`;
      this.#context.answer(from, call, {
        kind: 'refused',
        reason: 'SESSION_BUSY',
        message: text,
        m,
        // An earlier one may have acted: of it nothing is known here.
        inDoubt: operation.attempt > 1 || m > 1,
      });
      return;
    }
    if (seen !== 'new') {
      const why = seen === 'closed' ? 'closed' : 'fenced';
      this.#context.answer(from, call, { kind: 'stop', why });
      return;
    }
    this.#receiveOperation(from, message, operation);
  }

  /** S1: what comes for a session that is neither known nor ended is parked. */
  #receiveOperation(
    from: CoordinatorId,
    message: Register | Fence | Take | Mutate,
    operation: SessionOperation,
  ): void {
    if (this.#context.space.session(operation.session) === 'unknown')
      this.#admission.park({ from, message, operation });
    else this.#enter(from, message);
  }

  #enter(from: CoordinatorId, message: Parked['message']): void {
    switch (message.kind) {
      case 'register':
        this.#offers.register(from, message);
        return;
      case 'fence':
        this.#offers.fence(from, message);
        return;
      case 'take':
        this.#pinned.take(from, message);
        return;
      case 'mutate':
        this.#mutations.mutate(from, message);
        return;
      default:
        unreachable(message);
    }
  }

  /** E5. Always an entry: a look at the applied state could be one of a leader deposed. */
  #acknowledge(from: CoordinatorId, { call, session, floor, receipts }: Acknowledge): void {
    // Of others nothing is kept here, and nothing may be: their ids are whatever a caller sends.
    if (this.#context.space.session(session) === 'known') this.#sends.raise(session, floor);
    this.#context.propose({ kind: 'receipt', session, floor, receipts }, () =>
      this.#context.answer(from, call, { kind: 'received' }),
    );
  }

  /** One entry after the other, until nothing is left. */
  #dropSpace(from: CoordinatorId, { call, space }: DropSpace): void {
    this.#context.propose({ kind: 'drop-space', space }, () => {
      if (this.#isEmpty(space)) this.#context.answer(from, call, { kind: 'done' });
      else this.#dropSpace(from, { kind: 'drop-space', call, space });
    });
  }

  #isEmpty(space: SpaceId): boolean {
    return this.#context.space.counts(space).ready === 0;
  }

  /** E8: waiters and parked requests of the session go, and what was noted of it. */
  #sessionEnded(session: SessionOperation['session']): void {
    this.#line.dropSession(session);
    this.#admission.dropSession(session);
    this.#sends.drop(session);
  }

  #reconsider(): void {
    const awake = this.#awake;
    let next = 0;
    while (next < awake.length && this.#context.hasRoom()) {
      present(awake[next], 'one is there').reconsider();
      next += 1;
    }
    awake.splice(0, next);
  }

  /** W2 for all that became free; whoever was blocked by it decides again; until nothing moves. */
  #settle(): void {
    while (this.#fresh.length > 0 || this.#locks.hasFreed || this.#line.hasEager) {
      const { freed, awake } = this.#locks.takeFreed();
      const fresh = this.#fresh;
      if (fresh.length > 0) this.#fresh = [];
      const loose = freed.length > 0 ? [...fresh, ...freed] : fresh;
      if (loose.length > 1) loose.sort((a, b) => a - b);
      for (const tuple of loose) this.#line.fresh(tuple);
      this.#line.settleEager();
      for (const blocked of awake) this.#awake.push(blocked);
      this.#reconsider();
    }
    this.#reads.settle();
  }
}
