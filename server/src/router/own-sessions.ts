import { assert, present } from '../base/assert.ts';
import type { Attempt, PartitionId, Sequence, SessionId, TupleId } from '../base/ids.ts';
import {
  ownSessionDoubtMs,
  ownSessionLeaseMs,
  ownSessionOperationsMax,
  ownSessionStuckMs,
  receiptAgainMs,
  receiptsMax,
} from '../base/limits.ts';
import type { SessionOperation } from '../space/command.ts';
import type { Failure } from './failure.ts';
import { Overdue } from './overdue.ts';
import type { Answer, Receipt, Request } from './request.ts';

/** What the node's own sessions need of the router. */
export interface OwnSessionPorts {
  /** Makes a call of the router's; the answer may come at once. */
  call(request: Request, answer: (answer: Answer) => void): void;
  nowMs(): number;
  /** Calls `flush` at the end of the turn. */
  soon(): void;
}

/** One take without a session of its caller's, on a sequence of the node's own. */
export interface OwnOperation {
  readonly operation: SessionOperation;
  /** The take ended without tuples. */
  empty(): void;
  /** The tuples were given to the client's connection. */
  delivered(tuples: readonly TupleId[]): void;
  /** Nobody received what was handed over, if anything was: it goes back to these partitions. */
  lost(partitions: readonly PartitionId[]): void;
  /**
   * A leader refused its only sending and could not note that: nothing was handed over, unless by a
   * copy that the network made. What that got goes back when the session ends.
   */
  refused(): void;
  /** A leader says that the session has ended. */
  expired(): void;
}

/** Who asked for an operation. */
export interface Borrower {
  /** The operation, or why there is none. Once. */
  begin(operation: OwnOperation | Failure): void;
  /**
   * The session must end and this take still waits in it: it is to be cancelled there and begun
   * again under another sequence. It loses its place in line; nothing else.
   */
  move(): void;
}

/** An operation that is not closed yet; a list in order of sequence. */
interface Open {
  readonly sequence: Sequence;
  readonly borrower: Borrower;
  state: 'taking' | 'delivered' | 'lost';
  /** Tuples delivered and not confirmed. */
  tuples: readonly TupleId[];
  /** Where tuples are lost, or may be. */
  partitions: readonly PartitionId[];
  /** When its receipts were sent last; -Infinity: never. */
  sentMs: number;
  previous: Open | undefined;
  next: Open | undefined;
}

/**
 * The sessions in which a node runs takes that came without one (SPEC §4): opened at first use,
 * kept alive, each with a bounded number of operations above its floor. A tuple whose receiver had gone before it
 * was given to the connection goes back. It does so when the session's floor passes its sequence;
 * where an older take still waits and holds the floor, the session retires: the takes that wait in
 * it move to another, it is closed, and its end gives back what nobody received. Where only a copy
 * of a refused message may have got a tuple, no floor reaches it for sure, since that leader may not know
 * the session: it retires too, but a minute later. Else a node with too much work, whose sendings
 * are refused, would give itself more by opening one session after the other.
 */
export class OwnSessions {
  readonly #ports: OwnSessionPorts;
  readonly #leaseMs: number;
  readonly #sessions: Set<OwnSession> = new Set();
  #current: OwnSession | undefined;

  constructor(ports: OwnSessionPorts, leaseMs: number = ownSessionLeaseMs) {
    this.#ports = ports;
    this.#leaseMs = leaseMs;
  }

  /** Asks for an operation. The borrower begins at once or when a session is open. */
  borrow(borrower: Borrower): void {
    if (this.#current === undefined || !this.#current.admits) {
      this.#current = new OwnSession(this.#ports, this.#leaseMs, (session) => {
        this.#sessions.delete(session);
        if (this.#current === session) this.#current = undefined;
      });
      this.#sessions.add(this.#current);
      this.#current.open();
    }
    this.#current.borrow(borrower);
  }

  /** Sends receipts that came up in this turn. */
  flush(): void {
    for (const session of this.#sessions) session.flush();
  }

  /** Keeps sessions alive, sends unconfirmed receipts again, retires sessions that are stuck. */
  tick(): void {
    for (const session of this.#sessions) {
      session.tick();
      // One whose sequences were used up while an old take held the floor, and that take has ended.
      if (session !== this.#current && session.isIdle) session.retire();
    }
  }

  /** Ends all of them; for a node that stops. */
  close(): void {
    for (const session of this.#sessions) session.retire();
  }

  /** Whether `tick` has anything to do. */
  get wantsTicks(): boolean {
    return this.#sessions.size > 0;
  }
}

/** One of them. */
class OwnSession {
  readonly #ports: OwnSessionPorts;
  readonly #leaseMs: number;
  readonly #gone: (session: OwnSession) => void;
  #state: 'opening' | 'open' | 'retiring' | 'gone' = 'opening';
  #id: SessionId | undefined;
  #keptMs = 0;
  #keeping = false;
  #nextSequence = 1;
  // Invariant: #first … #last are the open operations in ascending order of sequence.
  #first: Open | undefined;
  #last: Open | undefined;
  #count = 0;
  #waiting: Borrower[] = [];
  /** Delivered, and not yet sent as receipts. */
  #due: Open[] = [];
  readonly #lostOnes: Overdue = new Overdue(ownSessionStuckMs);
  /** When a leader first refused an operation that it could not note. */
  #doubtSinceMs = Number.POSITIVE_INFINITY;
  /** Partitions that the floor has still to reach, so that what lies below it goes back there. */
  readonly #floorDue: Set<PartitionId> = new Set();
  #floorSent = false;

  constructor(ports: OwnSessionPorts, leaseMs: number, gone: (session: OwnSession) => void) {
    this.#ports = ports;
    this.#leaseMs = leaseMs;
    this.#gone = gone;
  }

  /** Whether it takes on more. */
  get admits(): boolean {
    if (this.#state !== 'opening' && this.#state !== 'open') return false;
    // Leaders count from the floor on, answered operations too: they keep the numbers of sendings.
    const { length } = this.#waiting;
    return this.#nextSequence - this.#floor() + length < ownSessionOperationsMax;
  }

  /** Whether nothing is open in it. */
  get isIdle(): boolean {
    return this.#state === 'open' && this.#count + this.#waiting.length === 0;
  }

  open(): void {
    const sentMs = this.#ports.nowMs();
    const request = { kind: 'open-session', leaseMs: this.#leaseMs, name: 'node' } as const;
    this.#ports.call(request, (answer) => {
      if (answer.kind === 'session-opened') this.#opened(answer.session, sentMs);
      else if (answer.kind === 'failed') this.#failed(answer.failure);
    });
  }

  borrow(borrower: Borrower): void {
    if (this.#state === 'opening') this.#waiting.push(borrower);
    else this.#begin(borrower);
  }

  /** Sends the receipts that are due, in one call. */
  flush(): void {
    if (this.#due.length === 0 || this.#id === undefined) return;
    const due = this.#due.splice(0);
    while (due.length > 0) this.#sendReceipts(due.splice(0, receiptsMax));
  }

  tick(): void {
    const now = this.#ports.nowMs();
    if (this.#state === 'open' || this.#state === 'retiring') {
      if (now - this.#keptMs >= this.#leaseMs) {
        this.#ended();
        return;
      }
      if (!this.#keeping && now - this.#keptMs >= this.#leaseMs / 3) this.#keep(now);
    }
    for (let each = this.#first; each !== undefined; each = each.next) {
      if (
        each.state === 'delivered' &&
        Number.isFinite(each.sentMs) &&
        now - each.sentMs >= receiptAgainMs
      )
        this.#due.push(each);
    }
    this.flush();
    this.#sendFloor();
    if (this.#lostOnes.isOver(now) || now - this.#doubtSinceMs >= ownSessionDoubtMs) this.retire();
  }

  /** No new operations; those that wait move, and when none is left the session is closed. */
  retire(): void {
    if (this.#state !== 'open') return;
    this.#state = 'retiring';
    for (let each = this.#first; each !== undefined; ) {
      const { next } = each;
      if (each.state === 'taking') each.borrower.move();
      each = next;
    }
    this.#closeIfDone();
  }

  #opened(id: SessionId, sentMs: number): void {
    this.#id = id;
    this.#state = 'open';
    this.#keptMs = sentMs;
    for (const borrower of this.#waiting.splice(0)) this.#begin(borrower);
  }

  #failed(failure: Failure): void {
    this.#state = 'gone';
    this.#gone(this);
    for (const borrower of this.#waiting.splice(0)) borrower.begin(failure);
  }

  #begin(borrower: Borrower): void {
    const session = present(this.#id, 'an open session has an id');
    const sequence = this.#nextSequence as Sequence;
    this.#nextSequence += 1;
    const open: Open = {
      sequence,
      borrower,
      state: 'taking',
      tuples: [],
      partitions: [],
      sentMs: Number.NEGATIVE_INFINITY,
      previous: this.#last,
      next: undefined,
    };
    if (this.#last === undefined) this.#first = open;
    else this.#last.next = open;
    this.#last = open;
    this.#count += 1;
    borrower.begin({
      operation: {
        kind: 'session',
        session,
        sequence,
        attempt: 1 as Attempt,
        floor: this.#floor(),
      },
      empty: () => this.#close(open),
      delivered: (tuples) => this.#delivered(open, tuples),
      lost: (partitions) => this.#lost(open, partitions),
      refused: () => this.#refused(open),
      expired: () => this.#ended(),
    });
  }

  #floor(): Sequence {
    return this.#first?.sequence ?? (this.#nextSequence as Sequence);
  }

  #delivered(open: Open, tuples: readonly TupleId[]): void {
    if (open.state !== 'taking') return;
    open.state = 'delivered';
    open.tuples = tuples;
    this.#due.push(open);
    this.#ports.soon();
  }

  #lost(open: Open, partitions: readonly PartitionId[]): void {
    if (open.state !== 'taking') return;
    open.state = 'lost';
    open.partitions = partitions;
    this.#lostOnes.add(this.#ports.nowMs());
    this.#passOver();
    if (this.#state === 'retiring') this.#closeIfDone();
  }

  #refused(open: Open): void {
    this.#doubtSinceMs = Math.min(this.#doubtSinceMs, this.#ports.nowMs());
    this.#close(open);
  }

  /** Closes what is over at the front: the floor passes it, and is sent where tuples of it may lie. */
  #passOver(): void {
    if (this.#state !== 'open') return;
    for (let first = this.#first; first !== undefined; first = this.#first) {
      if (first.state !== 'lost') break;
      for (const partition of first.partitions) this.#floorDue.add(partition);
      this.#lostOnes.passed(this.#ports.nowMs());
      this.#unlink(first);
    }
    this.#sendFloor();
  }

  /** Tells partitions the floor, which gives back what was handed over below it; until they have it. */
  #sendFloor(): void {
    if (this.#floorSent || this.#floorDue.size === 0 || this.#state !== 'open') return;
    this.#floorSent = true;
    const session = present(this.#id, 'an open session has an id');
    const partitions = [...this.#floorDue];
    this.#floorDue.clear();
    const floor = this.#floor();
    const request = { kind: 'acknowledge', session, floor, receipts: [], partitions } as const;
    this.#ports.call(request, (answer) => {
      this.#floorSent = false;
      if (answer.kind !== 'received') for (const each of partitions) this.#floorDue.add(each);
    });
  }

  #sendReceipts(operations: readonly Open[]): void {
    const now = this.#ports.nowMs();
    const receipts: Receipt[] = [];
    const bySequence = new Map<number, Open>();
    for (const open of operations) {
      if (open.state !== 'delivered' || this.#state === 'gone') continue;
      open.sentMs = now;
      bySequence.set(open.sequence, open);
      for (const tuple of open.tuples) receipts.push({ sequence: open.sequence, tuple });
    }
    if (receipts.length === 0) return;
    const session = present(this.#id, 'an open session has an id');
    const request = { kind: 'acknowledge', session, floor: this.#floor(), receipts } as const;
    this.#ports.call(request, (answer) => {
      if (answer.kind !== 'received') return; // Sent again by `tick`.
      for (const { sequence, tuple } of answer.receipts) {
        const open = bySequence.get(sequence);
        if (open === undefined || open.state !== 'delivered') continue;
        open.tuples = open.tuples.filter((each) => each !== tuple);
        if (open.tuples.length === 0) this.#close(open);
      }
    });
  }

  #keep(now: number): void {
    const session = present(this.#id, 'an open session has an id');
    this.#keeping = true;
    this.#ports.call({ kind: 'keep-session', session }, (answer) => {
      this.#keeping = false;
      if (answer.kind === 'session-kept') this.#keptMs = now;
      else if (answer.kind === 'failed' && answer.failure.reason === 'SESSION_EXPIRED')
        this.#ended();
    });
  }

  /** The session's lease is over: its home gives back what was not received; takes begin again. */
  #ended(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#gone(this);
    for (let each = this.#first; each !== undefined; ) {
      const { next } = each;
      if (each.state === 'taking') each.borrower.move();
      each = next;
    }
  }

  #close(open: Open): void {
    this.#unlink(open);
    this.#passOver();
    if (this.#state === 'retiring') this.#closeIfDone();
  }

  #unlink(open: Open): void {
    if (open.previous !== undefined) open.previous.next = open.next;
    else if (this.#first === open) this.#first = open.next;
    else return; // Closed before.
    if (open.next === undefined) this.#last = open.previous;
    else open.next.previous = open.previous;
    open.previous = undefined;
    this.#count -= 1;
    assert(this.#count >= 0, 'an operation is closed once');
  }

  /** Closes a retiring session in which only operations are left that are over. */
  #closeIfDone(): void {
    for (let each = this.#first; each !== undefined; each = each.next)
      if (each.state === 'taking' || each.state === 'delivered') return;
    this.#state = 'gone';
    this.#gone(this);
    const session = present(this.#id, 'an open session has an id');
    // Where this fails the session ends all the same, one lease later: nobody keeps it.
    this.#ports.call({ kind: 'close-session', session }, () => {});
  }
}
