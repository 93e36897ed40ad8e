import { Lane } from './lane.ts';
import { clientLimits } from './limits.ts';
import type { Operation } from './operation.ts';

/** Bytes of an operation's body. */
export function bodyBytes(operation: Operation): number {
  return operation.body.end - operation.body.start;
}

/** The lanes of one engine, and how much waits in them to be sent. */
export class Lanes {
  /** In the order in which they are sent from. */
  readonly all: readonly Lane[];
  readonly #promptReads = new Lane(false);
  readonly #waitingReads = new Lane(false);
  readonly #changes = new Lane(true);
  readonly #waitingTakes = new Lane(true);
  readonly #queuedMax: number;
  /** Operations that were ever added. */
  #added = 0;
  #queued = 0;
  #queuedBytes = 0;

  constructor(queuedMax: number) {
    this.#queuedMax = queuedMax;
    this.all = [this.#promptReads, this.#changes, this.#waitingReads, this.#waitingTakes];
  }

  /** How many operations are under way: waiting to be sent, sent, or waiting for their receipts. */
  get underWay(): number {
    return this.all.reduce((sum, lane) => sum + lane.open.size, this.#queued);
  }

  /** Why no body of so many bytes may be added now; undefined if it may. */
  fullness(bytes: number): string | undefined {
    const isFull =
      this.#queued >= this.#queuedMax || this.#queuedBytes + bytes > clientLimits.queuedBytesMax;
    return isFull
      ? `${this.#queued} calls of ${this.#queuedBytes} bytes wait to be sent`
      : undefined;
  }

  /** Numbers a new operation and puts it into its lane, behind all others. */
  add(operation: Operation): void {
    this.#added += 1;
    operation.number = this.#added;
    const lane = this.#laneOf(operation);
    operation.lane = lane;
    lane.queue.push(operation);
    this.#enqueued(operation);
  }

  /** The operations, all of one lane and not open any more, wait to be sent again, before all others. */
  putBack(operations: readonly Operation[]): void {
    for (const operation of operations) this.#enqueued(operation);
    operations[0]?.lane?.queue.pushFront(operations);
  }

  /** Counts an operation out that was `queued` and is not any more; the queue passes over it. */
  dequeued(operation: Operation): void {
    this.#queued -= 1;
    this.#queuedBytes -= bodyBytes(operation);
  }

  #enqueued(operation: Operation): void {
    operation.stage = 'queued';
    this.#queued += 1;
    this.#queuedBytes += bodyBytes(operation);
  }

  #laneOf(operation: Operation): Lane {
    const waits = operation.kind.waitField > 0 && operation.waitMs > 0;
    if (operation.kind.mutates) return waits ? this.#waitingTakes : this.#changes;
    return waits ? this.#waitingReads : this.#promptReads;
  }
}
