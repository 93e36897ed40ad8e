import type { PartitionId, SessionId, Term } from '../base/ids.ts';
import { askAgainMs, clockDriftShare } from '../base/limits.ts';
import type { LeaderContext } from './leader-context.ts';
import { LeaseHeap } from './lease-heap.ts';
import type {
  BetweenLeaders,
  CloseSession,
  CoordinatorId,
  KeepSession,
  OpenSession,
} from './messages.ts';

interface Ending {
  /** Touched partitions that have not said that the end is applied there. */
  readonly left: Set<PartitionId>;
  tellAtMs: number;
}

/** PROTOCOL §4 at a session's home: its lease, who serves it, and its end. */
export class SessionHome {
  readonly #context: LeaderContext;
  readonly #leases = new LeaseHeap();
  /** Partitions whose TOUCH is in flight, with the newest epoch that asked. */
  readonly #touching = new Map<SessionId, Map<PartitionId, Term>>();
  readonly #ending = new Map<SessionId, Ending>();
  /** Sessions whose END is in flight. */
  readonly #closing = new Set<SessionId>();

  constructor(context: LeaderContext) {
    this.#context = context;
  }

  /** Sessions that are open. */
  get count(): number {
    return this.#leases.count;
  }

  /** S2: a new leader gives every session its full lease, and delivers the ends that are not yet. */
  load(): void {
    for (const [session, { state, leaseMs }] of this.#context.space.homeSessions()) {
      if (state === 'open') this.#leases.set(session, this.#overMs(leaseMs));
      else this.#deliver(session);
    }
  }

  open(from: CoordinatorId, { call, leaseMs, name }: OpenSession): void {
    const { space, limits } = this.#context;
    if (space.sessionCounts.home >= limits.homeSessionsMax) {
      this.#context.answer(from, call, {
        kind: 'refused',
        reason: 'SESSIONS_EXHAUSTED',
        message: `${space.sessionCounts.home} sessions have their home in this partition`,
        m: 0,
      });
      return;
    }
    this.#context.propose({ kind: 'open-session', leaseMs, name }, (outcome) => {
      if (outcome.kind !== 'session-opened') return;
      const { session } = outcome;
      this.#leases.set(session, this.#overMs(outcome.leaseMs));
      this.#context.answer(from, call, {
        kind: 'session-opened',
        session,
        leaseMs: outcome.leaseMs,
      });
    });
  }

  /** Confirmed, since a new leader's full lease may have begun and ended behind this one's back. */
  keep(from: CoordinatorId, { call, session }: KeepSession): void {
    const home = this.#context.space.home(session);
    if (home === undefined || home.state === 'ended' || !this.#leases.has(session)) {
      const why = home === undefined ? 'unknown-session' : 'ended';
      this.#context.confirm(() => this.#context.answer(from, call, { kind: 'stop', why }));
      return;
    }
    const { leaseMs } = home;
    this.#leases.set(session, this.#overMs(leaseMs));
    this.#context.confirm(() =>
      this.#context.answer(from, call, { kind: 'session-kept', leaseMs }),
    );
  }

  /** The client says that it has given the session up (S4). */
  close(from: CoordinatorId, { call, session }: CloseSession): void {
    const home = this.#context.space.home(session);
    if (home === undefined || home.state === 'ended') {
      this.#context.confirm(() => this.#context.answer(from, call, { kind: 'done' }));
      return;
    }
    this.#leases.delete(session);
    this.#end(session, () => this.#context.answer(from, call, { kind: 'done' }));
  }

  receive(message: Extract<BetweenLeaders, { readonly kind: 'ask-open' | 'end-applied' }>): void {
    if (message.kind === 'ask-open') this.#askOpen(message.session, message.from, message.epoch);
    else this.#endApplied(message.session, message.from);
  }

  /** S2: ends sessions whose lease is over, and tells again what is not confirmed. */
  tick(): void {
    for (const session of this.#leases.takeDue(this.#context.nowMs)) this.#end(session);
    for (const [session, ending] of this.#ending) {
      if (ending.tellAtMs <= this.#context.nowMs) this.#tell(session, ending);
    }
  }

  /** S1: OPEN is said only when TOUCH is applied. */
  #askOpen(session: SessionId, partition: PartitionId, epoch: Term): void {
    const home = this.#context.space.home(session);
    if (home === undefined || home.state === 'ended' || !this.#leases.has(session)) {
      this.#context.confirm(() => this.#sayNotOpen(session, partition, epoch));
      return;
    }
    const touching = this.#touching.get(session);
    if (touching?.has(partition) === true) {
      touching.set(partition, epoch);
      return;
    }
    if (touching === undefined) this.#touching.set(session, new Map([[partition, epoch]]));
    else touching.set(partition, epoch);
    this.#context.propose({ kind: 'touch', session, partition }, (outcome) => {
      const asked = this.#touched(session, partition) ?? epoch;
      const isOpen = outcome.kind === 'session' && outcome.open;
      if (!isOpen) this.#sayNotOpen(session, partition, asked);
      else this.#context.ports.sendLeader(partition, { kind: 'open', session, epoch: asked });
    });
  }

  #touched(session: SessionId, partition: PartitionId): Term | undefined {
    const touching = this.#touching.get(session);
    const epoch = touching?.get(partition);
    touching?.delete(partition);
    if (touching?.size === 0) this.#touching.delete(session);
    return epoch;
  }

  #sayNotOpen(session: SessionId, partition: PartitionId, epoch: Term): void {
    this.#context.ports.sendLeader(partition, { kind: 'not-open', session, epoch });
  }

  /** When a lease that begins now is surely over for the client too, whose clock may be slower (S2). */
  #overMs(leaseMs: number): number {
    return this.#context.nowMs + leaseMs * (1 + clockDriftShare);
  }

  #end(session: SessionId, done?: () => void): void {
    // A second END does nothing; only who asks to close waits for one of its own.
    if (this.#closing.has(session) && done === undefined) return;
    this.#closing.add(session);
    this.#context.propose({ kind: 'end', session }, () => {
      this.#closing.delete(session);
      this.#deliver(session);
      done?.();
    });
  }

  /** S2: to each touched partition, until it has applied the end. Here it is applied already. */
  #deliver(session: SessionId): void {
    const home = this.#context.space.home(session);
    if (home === undefined || this.#ending.has(session)) return;
    const left = new Set(home.touched);
    left.delete(this.#context.partition);
    const ending: Ending = { left, tellAtMs: 0 };
    this.#ending.set(session, ending);
    this.#tell(session, ending);
  }

  #tell(session: SessionId, ending: Ending): void {
    ending.tellAtMs = this.#context.nowMs + askAgainMs;
    if (ending.left.size === 0) {
      this.#forget(session);
      return;
    }
    const home = this.#context.partition;
    for (const partition of ending.left) {
      this.#context.ports.sendLeader(partition, { kind: 'deliver-end', session, home });
    }
  }

  #endApplied(session: SessionId, partition: PartitionId): void {
    const ending = this.#ending.get(session);
    if (ending === undefined || !ending.left.delete(partition)) return;
    if (ending.left.size === 0) this.#forget(session);
  }

  #forget(session: SessionId): void {
    this.#ending.delete(session);
    this.#context.propose({ kind: 'forget-session', session }, () => undefined);
  }
}
