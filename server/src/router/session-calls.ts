import {
  type PartitionId,
  partitionOf,
  type Sequence,
  type SessionId,
  type Term,
} from '../base/ids.ts';
import type { CallId, FromLeader, ToLeader } from '../coordination/messages.ts';
import { type Call, type CallPorts, leadershipAfter } from './call.ts';
import { type Failure, noLeader, outcomeUnknown, refusedBy, stopped } from './failure.ts';
import type { Receipt } from './request.ts';

/** K3: receipts of one session, each for the partition that its tuple's id names. */
export class AcknowledgeCall implements Call {
  readonly #ports: CallPorts;
  readonly #number: CallId;
  readonly #session: SessionId;
  readonly #floor: Sequence;
  readonly #receipts: Map<PartitionId, Receipt[]> = new Map();
  /** Partitions that have not answered, with the leadership that was asked. */
  readonly #open: Map<PartitionId, Term | undefined> = new Map();
  readonly #received: Receipt[] = [];

  constructor(
    ports: CallPorts,
    number: CallId,
    options: {
      readonly session: SessionId;
      readonly floor: Sequence;
      readonly receipts: readonly Receipt[];
      /** Partitions that are to learn the floor even without a receipt. */
      readonly partitions?: readonly PartitionId[] | undefined;
    },
  ) {
    this.#ports = ports;
    this.#number = number;
    this.#session = options.session;
    this.#floor = options.floor;
    for (const receipt of options.receipts) {
      const partition = partitionOf(receipt.tuple);
      const part = this.#receipts.get(partition);
      if (part === undefined) this.#receipts.set(partition, [receipt]);
      else part.push(receipt);
      this.#open.set(partition, undefined);
    }
    for (const partition of options.partitions ?? []) this.#open.set(partition, undefined);
  }

  start(): void {
    for (const partition of this.#open.keys()) this.#send(partition, undefined);
  }

  receive(message: FromLeader): void {
    const { partition } = message;
    if (!this.#open.has(partition)) return;
    switch (message.kind) {
      case 'received':
        this.#received.push(...(this.#receipts.get(partition) ?? []));
        this.#close(partition);
        return;
      case 'stop':
        this.#fail(stopped(message.why));
        return;
      case 'refused':
        this.#fail(refusedBy(partition, message.reason, message.message));
        return;
      case 'not-leader':
        this.#send(partition, message.epoch);
        return;
      default:
        return; // Not an answer to receipts.
    }
  }

  newEpoch(partition: PartitionId, epoch: Term): void {
    // A receipt may be sent any number of times (E5).
    if (this.#open.has(partition) && (this.#open.get(partition) ?? 0) < epoch)
      this.#send(partition, undefined);
  }

  linkBroken(partition: PartitionId): void {
    if (this.#open.has(partition)) this.#open.set(partition, undefined);
  }

  endWait(): void {
    // It does not wait.
  }
  cancel(): void {
    // It does not wait: its answer is on the way.
  }

  giveUp(): void {
    if (this.#received.length > 0) {
      this.#answer();
      return;
    }
    for (const [partition, asked] of this.#open) {
      this.#fail(asked === undefined ? noLeader(partition) : outcomeUnknown(partition));
      return;
    }
  }

  abandon(): void {
    // What was sent is logged all the same.
  }

  #close(partition: PartitionId): void {
    this.#open.delete(partition);
    if (this.#open.size === 0) this.#answer();
  }

  #answer(): void {
    this.#ports.answer(this.#number, { kind: 'received', receipts: this.#received });
  }

  #fail(failure: Failure): void {
    this.#ports.answer(this.#number, { kind: 'failed', failure });
  }

  #send(partition: PartitionId, refusedBy: Term | undefined): void {
    const asked = this.#open.get(partition);
    const epoch = leadershipAfter(this.#ports.epochOf(partition), asked, refusedBy);
    this.#open.set(partition, epoch);
    if (epoch === undefined) return;
    this.#ports.send(partition, {
      kind: 'acknowledge',
      call: this.#number,
      session: this.#session,
      floor: this.#floor,
      receipts: this.#receipts.get(partition) ?? [],
    });
  }
}

/** What a call to a session's home asks. */
export type HomeQuestion =
  | { readonly kind: 'open-session'; readonly leaseMs: number; readonly name: string }
  | { readonly kind: 'keep-session' | 'close-session'; readonly session: SessionId };

/**
 * Opens, keeps or closes a session at its home. All three may be sent again to a new leadership: a
 * session opened twice ends by itself, once nobody keeps it.
 */
export class HomeCall implements Call {
  readonly #ports: CallPorts;
  readonly #number: CallId;
  readonly #home: PartitionId;
  readonly #question: HomeQuestion;
  #sentTo: Term | undefined;
  /** Whether a leadership that is asked no more may have done it. */
  #inDoubt = false;

  constructor(
    ports: CallPorts,
    number: CallId,
    options: { readonly home: PartitionId; readonly question: HomeQuestion },
  ) {
    this.#ports = ports;
    this.#number = number;
    this.#home = options.home;
    this.#question = options.question;
  }

  start(): void {
    this.#send(undefined);
  }

  receive(message: FromLeader): void {
    if (message.partition !== this.#home) return;
    switch (message.kind) {
      case 'session-opened': {
        const { session, leaseMs } = message;
        this.#ports.answer(this.#number, { kind: 'session-opened', session, leaseMs });
        return;
      }
      case 'session-kept': {
        const { leaseMs } = message;
        this.#ports.answer(this.#number, { kind: 'session-kept', leaseMs });
        return;
      }
      case 'done':
        this.#ports.answer(this.#number, { kind: 'session-closed' });
        return;
      case 'stop':
        this.#fail(stopped(message.why));
        return;
      case 'refused':
        this.#fail(refusedBy(this.#home, message.reason, message.message));
        return;
      case 'not-leader':
        // Of an older leadership, late, it says nothing of the one that is asked.
        if (!message.definite || message.epoch < (this.#sentTo ?? 0)) this.#inDoubt = true;
        this.#send(message.epoch);
        return;
      default:
        return; // Not an answer of a home.
    }
  }

  newEpoch(partition: PartitionId, epoch: Term): void {
    if (partition !== this.#home || epoch <= (this.#sentTo ?? 0)) return;
    if (this.#sentTo !== undefined) this.#inDoubt = true;
    this.#send(undefined);
  }

  linkBroken(partition: PartitionId): void {
    if (partition !== this.#home || this.#sentTo === undefined) return;
    this.#inDoubt = true;
    this.#sentTo = undefined;
  }

  endWait(): void {
    // It does not wait.
  }
  cancel(): void {
    // It does not wait: its answer is on the way.
  }

  giveUp(): void {
    const isUnsure = this.#inDoubt || this.#sentTo !== undefined;
    this.#fail(isUnsure ? outcomeUnknown(this.#home) : noLeader(this.#home));
  }

  abandon(): void {
    // A session that nobody keeps ends by itself.
  }

  #fail(failure: Failure): void {
    this.#ports.answer(this.#number, { kind: 'failed', failure });
  }

  #send(refusedBy: Term | undefined): void {
    const present = this.#ports.epochOf(this.#home);
    this.#sentTo = leadershipAfter(present, this.#sentTo, refusedBy);
    if (this.#sentTo === undefined) return;
    const message: ToLeader = { call: this.#number, ...this.#question };
    this.#ports.send(this.#home, message);
  }
}
