/** Sees the rare paths that a schedule reached, from what passes between routers, leaders and disk. */
import type { PartitionId } from '../src/base/ids.ts';
import type { CoordinatorId, FromLeader, ToLeader } from '../src/coordination/messages.ts';
import type { SessionOperation } from '../src/space/command.ts';
import type { BusWatch } from './bus.ts';
import type { EventJson, Violation } from './check/history.ts';
import { bump, type Counts } from './coverage.ts';

interface SeenCall {
  readonly attempt: number;
  readonly kind: ToLeader['kind'];
  readonly operation: string;
}

/** An offer that is not taken up for so long has lapsed (W4). */
const lapseMs = 200;

const duringEvent: Readonly<Record<string, string>> = {
  WRITTEN: 'a snapshot during a write',
  TAKEN: 'a snapshot during a hand-over',
  REPLACED: 'a snapshot during a replace',
  EXPIRED: 'a snapshot during an expiry',
  RETURNED: 'a snapshot during the end of a session',
};

/** Counts by name; one for a run. */
export class PathWatch implements BusWatch {
  readonly #counts: Counts;
  readonly #nowMs: () => number;
  readonly #epochOf: (partition: PartitionId) => number | undefined;
  /** By coordinator and call. */
  readonly #calls = new Map<string, SeenCall>();
  /** Acceptances sent and not decided, by operation and partition. */
  readonly #accepting = new Set<string>();
  readonly #acceptOf = new Map<string, string>();
  readonly #offers = new Map<string, number>();
  /** Calls that declined an offer. */
  readonly #declined = new Set<string>();
  readonly #receipts = new Set<string>();
  /** By operation: the tuples handed to it and not given back, with their partitions. */
  readonly #handed = new Map<string, Map<number, PartitionId>>();
  /** Operations that their clients closed with an answer that says that nothing was handed over. */
  readonly #closed = new Set<string>();
  /** By tuple: the operation that it was handed to last. */
  readonly #holder = new Map<number, string>();
  readonly violations: Violation[] = [];
  #lastWritten = '';
  /** Whether a snapshot is being made. */
  snapshotting = false;
  /** Whether the disk is full. */
  diskFull = false;

  constructor(
    counts: Counts,
    nowMs: () => number,
    epochOf: (partition: PartitionId) => number | undefined,
  ) {
    this.#counts = counts;
    this.#nowMs = nowMs;
    this.#epochOf = epochOf;
  }

  /** A partition has applied the end of a session. */
  sessionEnded(): void {
    if (this.snapshotting) this.#bump('a snapshot during the end of a session');
  }

  /** I4: a client has heard that an operation, surely, got nothing. */
  closed(session: number, sequence: number): void {
    const operation = `${session}/${sequence}`;
    this.#closed.add(operation);
    if ((this.#handed.get(operation)?.size ?? 0) > 0) this.#sayClosed(operation);
  }

  #sayClosed(operation: string): void {
    const message = `operation ${operation} was told that it got nothing, and was handed a tuple`;
    this.violations.push({ checker: 'closed', message, operations: [] });
  }

  /** The node is gone with everything on its way. */
  restarted(): void {
    this.#accepting.clear();
    this.#acceptOf.clear();
    this.#offers.clear();
    this.snapshotting = false;
  }

  fault(name: string): void {
    bump(this.#counts, name);
  }

  toLeader(to: PartitionId, from: CoordinatorId, message: ToLeader): void {
    const call = `${from}/${message.call}`;
    if ('operation' in message && message.operation?.kind === 'session') {
      const { operation, kind } = message;
      this.#calls.set(call, { attempt: operation.attempt, kind, operation: nameOf(operation) });
    }
    switch (message.kind) {
      case 'accept': {
        const key = `${nameOf(message.operation)}@${to}`;
        this.#accepting.add(key);
        this.#acceptOf.set(`${call}@${to}`, key);
        this.#offers.delete(`${to}/${message.epoch}/${message.offer}`);
        if (message.epoch !== this.#epochOf(to)) this.#bump('an acceptance of an old epoch');
        return;
      }
      case 'decline':
        this.#offers.delete(`${to}/${message.epoch}/${message.offer}`);
        this.#declined.add(call);
        this.#bump('an offer was declined');
        return;
      case 'fence':
        if (this.#accepting.has(`${nameOf(message.operation)}@${to}`)) {
          this.#bump('a fence met an acceptance');
        }
        if (this.snapshotting) this.#bump('a snapshot during a fence');
        return;
      case 'acknowledge':
        for (const { sequence, tuple } of message.receipts) {
          const receipt = `${message.session}/${sequence}/${tuple}`;
          if (this.#receipts.has(receipt)) this.#bump('a receipt was lost');
          this.#receipts.add(receipt);
        }
        if (this.snapshotting) this.#bump('a snapshot during a receipt');
        return;
      default:
    }
  }

  fromLeader(to: CoordinatorId, message: FromLeader): void {
    const call = `${to}/${message.call}`;
    const seen = this.#calls.get(call);
    const accept = this.#acceptOf.get(`${call}@${message.partition}`);
    if (message.kind === 'offer') {
      this.#lapsed();
      const offer = `${message.partition}/${message.epoch}/${message.offer}`;
      this.#offers.set(offer, this.#nowMs());
      return;
    }
    if (message.kind === 'result' && seen !== undefined) this.#result(message, seen.operation);
    if (message.kind === 'result' || message.kind === 'stop' || message.kind === 'miss') {
      if (accept !== undefined) this.#accepting.delete(accept);
    }
    if (message.kind === 'miss') {
      this.#bump('two coordinators raced for one tuple');
      if (this.#declined.has(call)) this.#bump('a miss after another offer was declined');
    }
    if (message.kind === 'fenced') this.#bump('a retry was fenced anew');
    if (message.kind === 'result' && (seen?.attempt ?? 1) > 1)
      this.#bump('a retry found its result');
    if (message.kind !== 'stop') return;
    if (message.why !== 'ended' && message.why !== 'unknown-session') return;
    this.#bump('a late attempt after the end of its session');
    if (seen?.kind === 'accept' || seen?.kind === 'take' || seen?.kind === 'register') {
      this.#bump('a hand-over to a session that had ended');
    }
  }

  /** An event was committed. */
  event(event: EventJson): void {
    const place = `${event.partition}/${event.revision}/${event.id}`;
    if (event.kind === 'WRITTEN') this.#lastWritten = place;
    if (event.kind === 'TAKEN') {
      if (this.#lastWritten === place) this.#bump('a write with a hand-over');
      if (this.diskFull) this.#bump('a take while the disk was full');
    }
    if (event.kind === 'RETURNED') {
      this.#bump('a session ended and gave back');
      const holder = this.#holder.get(event.id);
      if (holder !== undefined) this.#handed.get(holder)?.delete(event.id);
    }
    const during = duringEvent[event.kind];
    if (this.snapshotting && during !== undefined) this.#bump(during);
  }

  /** I2: an operation is handed tuples once, of one partition; it keeps what it has no receipt of. */
  #result(message: Extract<FromLeader, { kind: 'result' }>, operation: string): void {
    if (message.result.kind !== 'handed') return;
    if (this.#closed.has(operation)) this.#sayClosed(operation);
    const before = this.#handed.get(operation);
    const handed = before ?? new Map<number, PartitionId>();
    this.#handed.set(operation, handed);
    let isMore = false;
    for (const { id } of message.result.tuples) {
      isMore ||= before !== undefined && handed.get(id) !== message.partition;
      handed.set(id, message.partition);
      this.#holder.set(id, operation);
    }
    if (!isMore || handed.size <= 1) return;
    const text = `operation ${operation} was handed tuples ${[...handed.keys()].join(' and ')}`;
    this.violations.push({ checker: 'one-tuple', message: text, operations: [] });
  }

  #lapsed(): void {
    for (const [offer, sentMs] of this.#offers) {
      if (this.#nowMs() - sentMs <= lapseMs) return;
      this.#offers.delete(offer);
      this.#bump('an offer lapsed');
    }
  }

  #bump(name: string): void {
    bump(this.#counts, name);
  }
}

function nameOf({ session, sequence }: SessionOperation): string {
  return `${session}/${sequence}`;
}
