import { NumberMap } from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import { DeadlineQueue } from '../base/deadline-queue.ts';
import type { Cancel, Clock } from '../base/doors.ts';
import type { PartitionId, SpaceId, Term } from '../base/ids.ts';
import { callMsMax, callsMax, routerTickMs, waitGraceMs } from '../base/limits.ts';
import type { CallId, CoordinatorId, FromLeader, ToLeader } from '../coordination/messages.ts';
import type { Call } from './call.ts';
import { type CallMaker, makeCall } from './calls.ts';
import { type Failure, isFailure } from './failure.ts';
import { LookingCall } from './looking-call.ts';
import { OwnSessions } from './own-sessions.ts';
import type { Answer, Request, SpaceRef } from './request.ts';
import { type MapView, SpaceDirectory } from './routing.ts';

/** What the router needs of the host of the partitions; `PartitionHost` is one. */
export interface Partitions {
  readonly map: MapView;
  /** Queued for the next turn. */
  send(to: PartitionId, from: CoordinatorId, message: ToLeader): void;
  epochOf(partition: PartitionId): Term | undefined;
  /** Whether a partition takes new work gladly; while not, calls should come slower. */
  ready(partition: PartitionId): boolean;
  /** Calls `run` after changes of the map, at most once a turn. */
  onMapChange(run: () => void): Cancel;
  /**
   * Calls `run` once: with true when this node's map has become what the cluster's was at some moment of the
   * call, with false where that cannot be found out in time.
   */
  lookAtMap(run: (isSeen: boolean) => void): void;
  attach(router: {
    readonly id: CoordinatorId;
    deliver(messages: readonly FromLeader[]): void;
    leadership(partition: PartitionId, epoch: Term): void;
    /** The link to a partition's leader broke; `epochOf` knows none until `leadership` tells of one again. */
    linkBroken(partition: PartitionId): void;
  }): Cancel;
}

/** Bounds that tests make smaller; `base/limits.ts` has the real ones. */
export interface RouterLimits {
  readonly callsMax: number;
  readonly callMsMax: number;
  readonly waitGraceMs: number;
  readonly ownSessionLeaseMs: number;
}

/**
 * Who listens for the one answer of a call. `tag` is what the caller gave with it: one function may
 * listen for many calls, so that none of a hundred thousand that wait needs one of its own.
 */
export type AnswerListener = (answer: Answer, tag: number) => void;

/** In place of the end of a wait: the call's time is in the queue. */
const noWait = 0;

interface OpenCall {
  readonly call: Call;
  readonly listener: AnswerListener;
  readonly tag: number;
  /** The space that a call which waits is for, once it is known. */
  space: SpaceId | undefined;
  /** When the wait ends; undefined (which needs no box): never, or it has ended; `noWait`: there is none. */
  waitEndMs: number | undefined;
  /** Why it is being ended, where its caller did not ask for that. */
  ending: Failure | undefined;
}

/**
 * Brings calls to partitions and their answers back. It keeps a table of state machines keyed by
 * number, and their deadlines: nothing per blocked call but these. It runs inside the turns of
 * its host and of its callers; its only timer is for the earliest deadline.
 */
export class Router {
  readonly id: CoordinatorId;
  readonly #partitions: Partitions;
  readonly #clock: Clock;
  readonly #limits: RouterLimits;
  readonly #calls: NumberMap<OpenCall> = new NumberMap();
  /** The last moments of calls that do not wait. */
  readonly #prompt: DeadlineQueue = new DeadlineQueue();
  /** Of calls that wait: the end of the wait, then the last moment for an answer. */
  readonly #deadlines: DeadlineHeap = new DeadlineHeap();
  readonly #isOpen = (number: CallId): boolean => this.#calls.has(number);
  readonly #sessions: OwnSessions;
  readonly #maker: CallMaker;
  readonly #detach: Cancel;
  readonly #unwatch: Cancel;
  #nextCall: CallId = 1;
  /** The clock at the present input. */
  #nowMs = 0;
  #timer: Cancel | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  #nextTickMs = Number.POSITIVE_INFINITY;
  #flushing = false;
  #closed = false;
  #pressed: PartitionId | undefined;
  #settled: (() => void) | undefined;

  constructor(options: {
    /** This life of this router, above 0, never used again. */
    readonly id: CoordinatorId;
    readonly partitions: Partitions;
    readonly clock: Clock;
    readonly limits?: Partial<RouterLimits>;
  }) {
    this.id = options.id;
    this.#partitions = options.partitions;
    this.#clock = options.clock;
    this.#limits = {
      callsMax,
      callMsMax,
      waitGraceMs,
      ownSessionLeaseMs: 10_000,
      ...options.limits,
    };
    this.#sessions = new OwnSessions(
      {
        call: (request, answer) => void this.#begin(request, answer),
        nowMs: () => this.#clock.monotonicMs(),
        soon: () => this.#flushSoon(),
      },
      this.#limits.ownSessionLeaseMs,
    );
    this.#maker = this.#makeMaker();
    this.#detach = this.#partitions.attach({
      id: this.id,
      deliver: (messages) => this.#deliver(messages),
      leadership: (partition, epoch) => this.#leadership(partition, epoch),
      linkBroken: (partition) => this.#linkBroken(partition),
    });
    this.#unwatch = this.#partitions.onMapChange(() => this.#mapChanged());
  }

  /** Calls open now. */
  get openCalls(): number {
    return this.#calls.size;
  }

  /**
   * Begins a call. The listener hears one answer, possibly before this returns; never after
   * `abandon`. A wait ends by itself; anything else is answered within `callMsMax`.
   */
  call(request: Request, listener: AnswerListener, tag = 0): CallId {
    this.#pressed = undefined;
    const hasRoom = this.#calls.size < this.#limits.callsMax || isUpkeep(request);
    if (!this.#closed && hasRoom) return this.#begin(request, listener, tag);
    listener({ kind: 'failed', failure: this.#closed ? closing : tooManyCalls }, tag);
    return this.#newNumber();
  }

  /** A partition that the call begun last was sent to, and that has more than it wants. */
  get pressed(): PartitionId | undefined {
    return this.#pressed;
  }

  /** Whether a partition takes new work gladly. */
  ready(partition: PartitionId): boolean {
    return this.#partitions.ready(partition);
  }

  /** Begins a call of a gateway's or of the router's own. */
  #begin(request: Request, listener: AnswerListener, tag = 0): CallId {
    this.#look();
    const number = this.#newNumber();
    const made = this.#make(number, request);
    if (isFailure(made)) {
      listener({ kind: 'failed', failure: made }, tag);
      return number;
    }
    const waitMs = 'waitMs' in request ? request.waitMs : 0;
    const now = this.#nowMs;
    const waits = waitMs > 0;
    const ends = waits && waitMs < Number.POSITIVE_INFINITY;
    const waitEndMs = ends ? now + waitMs : waits ? undefined : noWait;
    const space = waits && 'space' in request ? this.#spaceOf(request.space) : undefined;
    this.#calls.set(number, { call: made, listener, tag, space, waitEndMs, ending: undefined });
    if (!waits) this.#prompt.push(number, now + this.#limits.callMsMax);
    else if (waitEndMs !== undefined) this.#deadlines.set(number, waitEndMs);
    made.start();
    this.#schedule();
    return number;
  }

  /** The call of a request; one whose space this node does not know first looks at the cluster's map. */
  #make(number: CallId, request: Request): Call | Failure {
    const made = makeCall(this.#maker, number, request);
    if (!isFailure(made) || !('space' in request)) return made;
    const { space } = request;
    const { spaces, ports } = this.#maker;
    if (!isFailure(spaces.resolve(space)) || !spaces.mayLag(space)) return made;
    const waits = 'waitMs' in request && request.waitMs > 0;
    const looking: LookingCall = new LookingCall(ports, number, {
      waits,
      look: (run) =>
        spaces.settle(space, (failure) => {
          if (!this.#calls.has(number)) return;
          this.#look();
          run(failure);
          if (this.#calls.has(number)) looking.begun();
          this.#schedule();
        }),
      make: () => {
        const open = this.#calls.get(number);
        if (waits && open !== undefined) open.space = this.#spaceOf(space);
        return makeCall(this.#maker, number, request);
      },
    });
    return looking;
  }

  /** An input has come: one look at the clock is enough for all that follows from it. */
  #look(): void {
    this.#nowMs = this.#clock.monotonicMs();
  }

  #newNumber(): CallId {
    const number = this.#nextCall;
    this.#nextCall += 1;
    return number;
  }

  /** Asks a blocked call to end: it answers "cancelled" or what it came to. Others go on. */
  cancel(number: CallId): void {
    const open = this.#calls.get(number);
    if (open === undefined) return;
    this.#look();
    // "Cancelled" too comes within the time that the end of a wait has.
    if (open.waitEndMs !== noWait) {
      if (open.waitEndMs !== undefined || !this.#deadlines.has(number))
        this.#deadlines.set(number, this.#nowMs + this.#limits.waitGraceMs);
      open.waitEndMs = undefined;
    }
    open.call.cancel();
    this.#schedule();
  }

  /** Nobody listens to this call any more. */
  abandon(number: CallId): void {
    const open = this.#calls.get(number);
    if (open === undefined) return;
    this.#look();
    this.#end(number, open);
    open.call.abandon();
  }

  /** The space a reader of history asks for, and the places it has to look at. */
  get spaces(): SpaceDirectory {
    return this.#maker.spaces;
  }

  /** Ends all calls that wait; takes no more. Calls on their way are still answered. */
  drain(): void {
    this.#closed = true;
    for (const number of this.#calls.keys()) this.cancel(number);
  }

  /**
   * After `drain`: closes the node's own sessions, so that what nobody received goes back now and
   * not after their lease; resolves when no call is open.
   */
  async settled(): Promise<void> {
    this.#sessions.flush();
    this.#sessions.close();
    if (this.#calls.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
  }

  /** Lets go of the host. Calls still open are not answered. */
  close(): void {
    this.#closed = true;
    this.#timer?.();
    this.#detach();
    this.#unwatch();
    this.#calls.clear();
  }

  #makeMaker(): CallMaker {
    const spaces = new SpaceDirectory(this.#partitions.map, (run) =>
      this.#partitions.lookAtMap(run),
    );
    return {
      spaces,
      sessions: this.#sessions,
      ports: {
        send: (to, message) => this.#send(to, message),
        epochOf: (partition) => this.#partitions.epochOf(partition),
        nowMs: () => this.#nowMs,
        answer: (number, answer) => this.#answer(number, answer),
        begin: (request, answer) => this.#begin(request, answer),
        cancel: (number) => this.cancel(number),
      },
    };
  }

  #send(to: PartitionId, message: ToLeader): void {
    this.#partitions.send(to, this.id, message);
    if (this.#pressed === undefined && !this.#partitions.ready(to)) this.#pressed = to;
  }

  #answer(number: CallId, answer: Answer): void {
    const open = this.#calls.get(number);
    if (open === undefined) return;
    this.#end(number, open);
    const { ending } = open;
    // A tuple that won the race is handed out; "cancelled" is what nobody here has asked for.
    if (ending === undefined || answer.kind !== 'cancelled') open.listener(answer, open.tag);
    else open.listener({ kind: 'failed', failure: ending }, open.tag);
  }

  #spaceOf(ref: SpaceRef): SpaceId | undefined {
    const space = this.#maker.spaces.resolve(ref);
    return isFailure(space) ? undefined : space.id;
  }

  /** Nothing will ever match in a space that was dropped: calls that wait there end. */
  #mapChanged(): void {
    const { spaces } = this.#maker;
    for (const number of this.#calls.keys()) {
      const open = this.#calls.get(number);
      if (open === undefined) continue;
      if (open.space === undefined || open.ending !== undefined) continue;
      open.ending = spaces.dropped(open.space);
      if (open.ending !== undefined) this.cancel(number);
    }
    spaces.changed();
  }

  #end(number: CallId, { waitEndMs }: OpenCall): void {
    this.#calls.delete(number);
    if (waitEndMs === noWait) this.#prompt.trim(this.#isOpen);
    else this.#deadlines.delete(number);
    if (this.#calls.size === 0) this.#settled?.();
  }

  #deliver(messages: readonly FromLeader[]): void {
    this.#look();
    for (const message of messages) {
      const open = this.#calls.get(message.call);
      if (open !== undefined) open.call.receive(message);
      else if (message.kind === 'offer') this.#withdraw(message);
    }
    this.#schedule();
  }

  /** C2: an offer to a call that is no more is answered too. */
  #withdraw(offer: FromLeader & { readonly kind: 'offer' }): void {
    const { call, operation, partition } = offer;
    this.#partitions.send(partition, this.id, { kind: 'withdraw', call, operation });
  }

  #leadership(partition: PartitionId, epoch: Term): void {
    this.#look();
    for (const { call } of this.#calls.values()) call.newEpoch(partition, epoch);
    this.#schedule();
  }

  #linkBroken(partition: PartitionId): void {
    this.#look();
    // A call that ends by it leaves the table.
    for (const { call } of [...this.#calls.values()]) call.linkBroken(partition);
    this.#schedule();
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#clock.soon(() => {
      this.#flushing = false;
      if (!this.#closed) this.#sessions.flush();
    });
  }

  /** Sets the timer to the earliest deadline, if it is another. */
  #schedule(): void {
    const now = this.#nowMs;
    if (!this.#sessions.wantsTicks) this.#nextTickMs = Number.POSITIVE_INFINITY;
    else if (this.#nextTickMs === Number.POSITIVE_INFINITY) this.#nextTickMs = now + routerTickMs;
    const dueMs = Math.min(this.#deadlines.nextMs, this.#prompt.nextMs, this.#nextTickMs);
    // A timer that comes too early finds nothing due and is set again: cheaper than moving it.
    if (dueMs >= this.#timerMs || dueMs === Number.POSITIVE_INFINITY) return;
    this.#timer?.();
    this.#timerMs = dueMs;
    const delayMs = Math.min(Math.max(0, dueMs - now), timerMsMax);
    this.#timer = this.#clock.after(delayMs, () => this.#due());
  }

  #due(): void {
    this.#timer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
    this.#look();
    const now = this.#nowMs;
    for (let number = this.#deadlines.takeDue(now); number !== undefined; ) {
      this.#callDue(number, now);
      number = this.#deadlines.takeDue(now);
    }
    for (let number = this.#prompt.takeDue(now); number !== undefined; ) {
      this.#calls.get(number)?.call.giveUp();
      number = this.#prompt.takeDue(now);
    }
    if (this.#nextTickMs <= now) {
      this.#nextTickMs = Number.POSITIVE_INFINITY;
      this.#sessions.tick();
    }
    this.#schedule();
  }

  #callDue(number: CallId, now: number): void {
    const open = this.#calls.get(number);
    assert(open !== undefined, 'only open calls have deadlines');
    if (open.waitEndMs === undefined) {
      open.call.giveUp();
      return;
    }
    open.waitEndMs = undefined;
    this.#deadlines.set(number, now + this.#limits.waitGraceMs);
    open.call.endWait();
  }
}

/**
 * Calls that keep what there is: refusing them for want of room would end the sessions of everybody,
 * and receipts make room. They are short, and bounded by connection.
 */
function isUpkeep({ kind }: Request): boolean {
  return kind === 'keep-session' || kind === 'acknowledge' || kind === 'close-session';
}

/** Timers of the platform hold 31 bits, and ring at once beyond; one that rings early is set again. */
const timerMsMax = 2 ** 31 - 1;

const tooManyCalls: Failure = {
  reason: 'OVERLOADED',
  message: `the node has ${callsMax} calls open`,
  retryMs: 100,
  limit: callsMax,
};

const closing: Failure = {
  reason: 'SHUTTING_DOWN',
  message: 'the node is stopping',
  retryMs: 1_000,
};
