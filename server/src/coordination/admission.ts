import type { ErrorReason } from '@tuplet/proto';
import { present } from '../base/assert.ts';
import { partitionOf, type SessionId, type Term } from '../base/ids.ts';
import { askAgainMs } from '../base/limits.ts';
import type { SessionOperation } from '../space/command.ts';
import type { LeaderContext } from './leader-context.ts';
import { messageBytes } from './message-bytes.ts';
import type { CoordinatorId, Fence, Mutate, Register, Take, Withdraw } from './messages.ts';

/** What may wait until its session is known. */
export type Parkable = Register | Fence | Take | Mutate;

/** A request that waits until its session is known here. */
export interface Parked {
  readonly from: CoordinatorId;
  readonly message: Parkable;
  readonly operation: SessionOperation;
}

interface Asking {
  parked: Parked[];
  askAtMs: number;
  /** The home has said open; KNOW is in flight, or applied. */
  isKnowing: boolean;
}

/** S1, S3: a partition serves a session only once it has logged it as known. */
export class Admission {
  readonly #context: LeaderContext;
  readonly #resume: (parked: Parked) => void;
  readonly #unknown: (session: SessionId) => void;
  readonly #asking = new Map<SessionId, Asking>();
  /** Sessions that are known or have ended, with requests that wait for room in the pipeline. */
  readonly #going = new Set<SessionId>();
  /** Sessions whose END is in flight. */
  readonly #ending = new Set<SessionId>();
  #parkedCount = 0;
  #parkedBytes = 0;

  /**
   * `resume` is given the parked requests again, in order, when their session is known; `unknown`
   * hears of each that is not and will not be: what was noted of it goes.
   */
  constructor(
    context: LeaderContext,
    hooks: {
      readonly resume: (parked: Parked) => void;
      readonly unknown: (session: SessionId) => void;
    },
  ) {
    this.#context = context;
    this.#resume = hooks.resume;
    this.#unknown = hooks.unknown;
  }

  get parkedCount(): number {
    return this.#parkedCount;
  }

  /** S1: parks a request of a session that is neither known nor ended, and asks its home. */
  park(parked: Parked): void {
    const { operation } = parked;
    if (!this.#hasRoom(parked)) {
      const message = `${this.#parkedCount} requests of ${this.#parkedBytes} bytes wait for their sessions in this partition`;
      // Where nothing of the session is noted any more, a copy may act when there is room.
      const isForgotten = !this.#asking.has(operation.session);
      this.#refuse(parked, 'WAITERS_EXHAUSTED', message, isForgotten);
      if (isForgotten) this.#unknown(operation.session);
      return;
    }
    const asking = this.#asking.get(operation.session);
    if (asking !== undefined) {
      this.#count([parked], 1);
      asking.parked.push(parked);
      return;
    }
    // Whom the home has told OPEN leaves a mark some day, served or not: so nobody is asked.
    const { ended } = this.#context.space.sessionCounts;
    if (ended + this.#asking.size >= this.#context.limits.endedSessionsMax) {
      const message = `${ended} sessions have ended in this partition within 10 minutes`;
      this.#refuse(parked, 'SESSIONS_EXHAUSTED', message, true);
      this.#unknown(operation.session);
      return;
    }
    this.#count([parked], 1);
    const askAtMs = this.#context.nowMs + askAgainMs;
    this.#asking.set(operation.session, { parked: [parked], askAtMs, isKnowing: false });
    this.#ask(operation.session);
  }

  /** S1: asks again while unanswered and parked. */
  tick(): void {
    for (const [session, asking] of this.#asking) {
      if (asking.isKnowing || asking.askAtMs > this.#context.nowMs) continue;
      asking.askAtMs = this.#context.nowMs + askAgainMs;
      this.#ask(session);
    }
  }

  /** S3: taken only for a question of this epoch. */
  open(session: SessionId, epoch: Term): void {
    if (epoch !== this.#context.epoch) return;
    const asking = this.#asking.get(session);
    if (asking === undefined || asking.isKnowing) return;
    const { known } = this.#context.space.sessionCounts;
    if (known >= this.#context.limits.knownSessionsMax) {
      for (const parked of this.#takeParked(session)) {
        this.#refuse(parked, 'SESSIONS_EXHAUSTED', `this partition serves ${known} sessions`);
      }
      return;
    }
    asking.isKnowing = true;
    this.#context.propose({ kind: 'know', session }, () => this.#go(session));
  }

  /** S1: the home does not know the session, or it has ended there. */
  notOpen(session: SessionId, epoch: Term): void {
    if (epoch !== this.#context.epoch) return;
    const asking = this.#asking.get(session);
    if (asking?.isKnowing) return;
    for (const { from, message } of this.#takeParked(session)) {
      this.#context.answer(from, message.call, { kind: 'stop', why: 'unknown-session' });
    }
    if (this.#context.space.session(session) !== 'known') this.#unknown(session);
  }

  /** S2: applies the end here, once, and confirms it to the home whenever asked. */
  deliverEnd(session: SessionId): void {
    const { space, partition } = this.#context;
    const home = partitionOf(session);
    const confirm = (): void =>
      this.#context.ports.sendLeader(home, { kind: 'end-applied', session, from: partition });
    if (space.session(session) === 'ended') {
      confirm();
      return;
    }
    if (this.#ending.has(session)) return;
    this.#ending.add(session);
    this.#context.propose({ kind: 'end', session }, () => {
      this.#ending.delete(session);
      confirm();
    });
  }

  /** Parked requests whose session is decided go on, as far as the pipeline has room. */
  goOn(): void {
    for (const session of this.#going) {
      const asking = this.#asking.get(session);
      const parked = asking?.parked ?? [];
      let next = 0;
      for (; next < parked.length && this.#context.hasRoom(); next += 1) {
        this.#resume(present(parked[next], 'one is there'));
      }
      this.#count(parked.splice(0, next), -1);
      if (parked.length > 0) return;
      this.#asking.delete(session);
      this.#going.delete(session);
    }
  }

  /** E8: the parked requests of an ended session go. */
  dropSession(session: SessionId): void {
    this.#go(session);
  }

  /** The requests of a router that is gone go. */
  dropCoordinator(coordinator: CoordinatorId): void {
    for (const session of this.#asking.keys())
      this.#drop(session, ({ from }) => from === coordinator);
  }

  /** C8: a REGISTER that is still parked must not become a waiter for an attempt that is over. */
  withdraw(coordinator: CoordinatorId, { operation }: Withdraw): void {
    const { session, sequence, attempt } = operation;
    this.#drop(
      session,
      ({ from, message, operation: parked }) =>
        from === coordinator &&
        message.kind === 'register' &&
        parked.sequence === sequence &&
        parked.attempt === attempt,
    );
  }

  #drop(session: SessionId, isOver: (parked: Parked) => boolean): void {
    const asking = this.#asking.get(session);
    if (asking === undefined) return;
    this.#count(asking.parked.filter(isOver), -1);
    asking.parked = asking.parked.filter((each) => !isOver(each));
    if (asking.parked.length === 0 && !asking.isKnowing) this.#asking.delete(session);
  }

  /** KNOW or END is applied: the parked requests go on, and are answered by what is applied. */
  #go(session: SessionId): void {
    const asking = this.#asking.get(session);
    if (asking === undefined) return;
    // Nobody is asked any more.
    asking.isKnowing = true;
    this.#going.add(session);
    this.goOn();
  }

  #takeParked(session: SessionId): readonly Parked[] {
    const parked = this.#asking.get(session)?.parked ?? [];
    this.#asking.delete(session);
    this.#count(parked, -1);
    return parked;
  }

  /** The first one always has room: no message is larger than any bound. */
  #hasRoom({ message }: Parked): boolean {
    const { parkedRequestsMax, parkedBytesMax } = this.#context.limits;
    if (this.#parkedCount >= parkedRequestsMax) return false;
    return this.#parkedCount === 0 || this.#parkedBytes + messageBytes(message) <= parkedBytesMax;
  }

  #count(parked: readonly Parked[], sign: 1 | -1): void {
    this.#parkedCount += sign * parked.length;
    for (const { message } of parked) this.#parkedBytes += sign * messageBytes(message);
  }

  /** Not fenced: an earlier attempt may act yet. */
  #refuse(
    { from, message, operation }: Parked,
    reason: ErrorReason,
    text: string,
    isForgotten = false,
  ): void {
    this.#context.answer(from, message.call, {
      kind: 'refused',
      reason,
      message: text,
      m: numberOf(message),
      inDoubt: isForgotten || operation.attempt > 1,
    });
  }

  #ask(session: SessionId): void {
    const { partition, epoch } = this.#context;
    this.#context.ports.sendLeader(partitionOf(session), {
      kind: 'ask-open',
      session,
      from: partition,
      epoch,
    });
  }
}

/** The number by which a refusal is told from one of an earlier sending. */
function numberOf(message: Parkable): number {
  if (message.kind === 'register') return message.r;
  return message.kind === 'fence' ? 0 : message.m;
}
