import type { Template } from '@tuplet/proto';
import type { PartitionId, SpaceId, Term } from '../base/ids.ts';
import type { CallId, FromLeader, Query } from '../coordination/messages.ts';
import type { StoredTuple } from '../space/outcome.ts';
import { type Call, type CallPorts, leadershipAfter } from './call.ts';
import { type Failure, noLeader, outcomeUnknown, refusedBy } from './failure.ts';
import type { States } from './request.ts';

/** What is known of one partition of a read. */
interface Part {
  readonly partition: PartitionId;
  /** The number of the latest sending. */
  m: number;
  /** The leadership it went to; undefined: none has it. */
  sentTo: Term | undefined;
  /** Whether this partition has said that nothing matched. */
  empty: boolean;
}

/**
 * A read, blocking or not, of one partition (pinned) or of all that may hold a match. The first
 * tuple found wins; "nothing" needs the word of every partition. A read of many over several
 * partitions first collects what there is; only if that is nothing it waits, and then again the
 * first partition that finds something wins.
 */
export class ReadCall implements Call {
  readonly #ports: CallPorts;
  readonly #number: CallId;
  readonly #query: Query;
  readonly #states: States;
  readonly #parts: readonly Part[];
  readonly #answerBytesMax: number;
  readonly #pinned: boolean;
  /** Collecting what there is, waiting for the first, or asking for the last word. */
  #phase: 'collecting' | 'waiting' | 'ending';
  #found: StoredTuple[] = [];
  #foundBytes = 0;

  constructor(
    ports: CallPorts,
    number: CallId,
    options: {
      readonly partitions: readonly PartitionId[];
      /** Whether the template is pinned to one slot: what "nothing" says hangs on it. */
      readonly pinned: boolean;
      readonly query: Query;
      readonly states: States;
      /** Whether the call waits at all. */
      readonly waits: boolean;
      /** Bytes of tuples in one answer. */
      readonly answerBytesMax: number;
    },
  ) {
    this.#ports = ports;
    this.#number = number;
    this.#query = options.query;
    this.#states = options.states;
    this.#pinned = options.pinned;
    this.#answerBytesMax = options.answerBytesMax;
    this.#parts = options.partitions.map((partition) => ({
      partition,
      m: 0,
      sentTo: undefined,
      empty: false,
    }));
    const collects = options.partitions.length > 1 && options.query.max > 1;
    if (!options.waits) this.#phase = 'ending';
    else this.#phase = collects ? 'collecting' : 'waiting';
  }

  start(): void {
    this.#sendAll();
  }

  receive(message: FromLeader): void {
    const part = this.#parts.find(({ partition }) => partition === message.partition);
    if (part === undefined || part.empty) return;
    switch (message.kind) {
      case 'found':
        this.#gather(part, message.tuples);
        return;
      case 'nothing':
        if (message.m !== part.m) return;
        part.empty = true;
        this.#spoken();
        return;
      case 'refused':
        if (message.m !== part.m) return;
        this.#fail(refusedBy(message.partition, message.reason, message.message));
        return;
      case 'not-leader':
        this.#notLeader(part, message.epoch);
        return;
      default:
        return; // Not an answer to a read.
    }
  }

  newEpoch(partition: PartitionId, epoch: Term): void {
    const part = this.#parts.find((each) => each.partition === partition);
    if (part === undefined || part.empty) return;
    if (part.sentTo !== undefined && epoch <= part.sentTo) return;
    this.#send(part, epoch);
  }

  linkBroken(partition: PartitionId): void {
    const part = this.#parts.find((each) => each.partition === partition);
    if (part !== undefined) part.sentTo = undefined;
  }

  endWait(): void {
    if (this.#phase === 'ending') return;
    const collecting = this.#phase === 'collecting';
    this.#phase = 'ending';
    // While it collects, the partitions have been asked for their last word already.
    if (!collecting) this.#sendAll();
  }

  cancel(): void {
    this.#withdraw();
    if (this.#found.length > 0) {
      this.#answerFound();
      return;
    }
    this.#ports.answer(this.#number, { kind: 'cancelled' });
  }

  giveUp(): void {
    this.#withdraw();
    if (this.#found.length > 0) {
      this.#answerFound();
      return;
    }
    const missing = this.#parts.find((part) => !part.empty);
    if (missing === undefined) {
      this.#answerNothing();
      return;
    }
    const failure =
      missing.sentTo === undefined
        ? noLeader(missing.partition)
        : outcomeUnknown(missing.partition);
    this.#ports.answer(this.#number, { kind: 'failed', failure });
  }

  abandon(): void {
    this.#withdraw();
  }

  #gather(part: Part, tuples: readonly StoredTuple[]): void {
    part.empty = true; // It has said all that it has to say.
    for (const tuple of tuples) {
      const bytes = this.#foundBytes + tuple.bytes.length;
      if (this.#found.length > 0 && bytes > this.#answerBytesMax) {
        this.#finish();
        return;
      }
      this.#found.push(tuple);
      this.#foundBytes = bytes;
      if (this.#found.length >= this.#query.max) {
        this.#finish();
        return;
      }
    }
    if (this.#phase === 'waiting') {
      this.#finish();
      return;
    }
    this.#spoken();
  }

  /** One more partition has spoken: is that the whole of it? */
  #spoken(): void {
    if (this.#parts.some((part) => !part.empty)) return;
    if (this.#found.length > 0) {
      this.#answerFound();
      return;
    }
    if (this.#phase === 'ending') {
      this.#answerNothing();
      return;
    }
    this.#phase = 'waiting';
    for (const part of this.#parts) {
      part.empty = false;
      part.sentTo = undefined;
    }
    this.#sendAll();
  }

  #finish(): void {
    this.#withdraw();
    this.#answerFound();
  }

  #answerFound(): void {
    this.#ports.answer(this.#number, {
      kind: 'found',
      tuples: this.#found,
      delivery: undefined,
    });
  }

  #answerNothing(): void {
    const scope = this.#pinned ? 'linearizable' : 'each-partition';
    this.#ports.answer(this.#number, { kind: 'nothing', scope });
  }

  #fail(failure: Failure): void {
    this.#withdraw();
    this.#ports.answer(this.#number, { kind: 'failed', failure });
  }

  #notLeader(part: Part, epoch: Term): void {
    if (part.sentTo === undefined || epoch < part.sentTo) return;
    part.sentTo = undefined;
    const present = this.#ports.epochOf(part.partition);
    if (present !== undefined && present > epoch) this.#send(part, present);
  }

  #sendAll(): void {
    for (const part of this.#parts) {
      const epoch = this.#ports.epochOf(part.partition);
      if (epoch !== undefined && !part.empty) this.#send(part, epoch);
    }
  }

  #send(part: Part, epoch: Term, cancelled = false): void {
    part.m += 1;
    part.sentTo = epoch;
    this.#ports.send(part.partition, {
      kind: 'read',
      call: this.#number,
      m: part.m,
      query: this.#query,
      states: this.#states,
      waitEnded: this.#phase !== 'waiting',
      cancelled,
    });
  }

  /** Takes the waiters away where there may be some. */
  #withdraw(): void {
    if (this.#phase === 'collecting') return;
    for (const part of this.#parts)
      if (part.sentTo !== undefined && !part.empty) this.#send(part, part.sentTo, true);
  }
}

/** Counts in one partition, or sums one instant of each that may hold a match. */
export class CountCall implements Call {
  readonly #ports: CallPorts;
  readonly #number: CallId;
  readonly #space: SpaceId;
  readonly #template: Template | undefined;
  readonly #states: States;
  /** Partitions that have not counted yet, with the leadership that was asked. */
  readonly #open: Map<PartitionId, Term | undefined>;
  #sum = 0;

  constructor(
    ports: CallPorts,
    number: CallId,
    options: {
      readonly partitions: readonly PartitionId[];
      readonly space: SpaceId;
      readonly template: Template | undefined;
      readonly states: States;
    },
  ) {
    this.#ports = ports;
    this.#number = number;
    this.#space = options.space;
    this.#template = options.template;
    this.#states = options.states;
    this.#open = new Map(options.partitions.map((partition) => [partition, undefined]));
  }

  start(): void {
    for (const partition of this.#open.keys()) this.#ask(partition, undefined);
  }

  receive(message: FromLeader): void {
    if (!this.#open.has(message.partition)) return;
    if (message.kind === 'not-leader') {
      this.#ask(message.partition, message.epoch);
      return;
    }
    if (message.kind === 'refused') {
      const failure = refusedBy(message.partition, message.reason, message.message);
      this.#ports.answer(this.#number, { kind: 'failed', failure });
      return;
    }
    if (message.kind !== 'counted') return;
    this.#open.delete(message.partition);
    this.#sum += message.count;
    if (this.#open.size === 0)
      this.#ports.answer(this.#number, { kind: 'counted', count: this.#sum });
  }

  newEpoch(partition: PartitionId, epoch: Term): void {
    if (!this.#open.has(partition)) return;
    if ((this.#open.get(partition) ?? 0) < epoch) this.#ask(partition, undefined);
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
    for (const [partition, asked] of this.#open) {
      const failure = asked === undefined ? noLeader(partition) : outcomeUnknown(partition);
      this.#ports.answer(this.#number, { kind: 'failed', failure });
      return;
    }
  }

  abandon(): void {
    // What partitions keep for it ends with their part of the count.
  }

  /** Asks the partition's leadership, if it is another than the one that refused. */
  #ask(partition: PartitionId, refusedBy: Term | undefined): void {
    const asked = this.#open.get(partition);
    const epoch = leadershipAfter(this.#ports.epochOf(partition), asked, refusedBy);
    this.#open.set(partition, epoch);
    if (epoch === undefined) return;
    this.#ports.send(partition, {
      kind: 'count',
      call: this.#number,
      space: this.#space,
      template: this.#template,
      states: this.#states,
    });
  }
}
