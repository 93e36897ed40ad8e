import type { PartitionId, SpaceId } from '../base/ids.ts';
import { dropAgainMs, dropSettleMs } from '../base/limits.ts';
import { partitionIds } from '../cluster/slots.ts';
import type { CallId, DropSpace, FromLeader } from '../coordination/messages.ts';

/** A dropped space on its way out. Soft: whoever leads the map next begins anew with what that remembers. */
interface Drop {
  /** Partitions that have not answered `done` in this pass. */
  readonly waiting: Set<PartitionId>;
  /** Asking for the first and the second time, then having the map forget. */
  pass: 1 | 2 | 'forgetting';
  /** When to send to those who wait, again or for the first time in this pass. */
  dueMs: number;
}

const partitionsPerCall = 1_024;

/**
 * Has the tuples of dropped spaces removed from every partition, and then lets the map forget the
 * space. Each partition is asked twice, some seconds apart: a write that was admitted before the drop
 * may have been parked for its session meanwhile, and what it left is removed by the second asking.
 */
export class SpaceDrops {
  readonly #partitions: readonly PartitionId[];
  readonly #send: (partition: PartitionId, message: DropSpace) => void;
  readonly #forget: (space: SpaceId) => void;
  readonly #drops = new Map<SpaceId, Drop>();

  constructor(options: {
    partitions: number;
    send: (partition: PartitionId, message: DropSpace) => void;
    forget: (space: SpaceId) => void;
  }) {
    this.#partitions = partitionIds(options.partitions);
    this.#send = options.send;
    this.#forget = options.forget;
  }

  /** Spaces on their way out. */
  get size(): number {
    return this.#drops.size;
  }

  /** These are the spaces that the map remembers as dropped: it begins with new ones, and is done with others. */
  remembered(spaces: readonly SpaceId[]): void {
    for (const space of this.#drops.keys()) if (!spaces.includes(space)) this.#drops.delete(space);
    for (const space of spaces) {
      if (this.#drops.has(space)) continue;
      this.#drops.set(space, { waiting: new Set(this.#partitions), pass: 1, dueMs: 0 });
    }
  }

  /** An answer to one of the messages. Anything but `done` is asked again in time. */
  answered(message: FromLeader, nowMs: number): void {
    if (message.kind !== 'done') return;
    const space = Math.floor(message.call / partitionsPerCall / 2) as SpaceId;
    const pass = Math.floor(message.call / partitionsPerCall) % 2 === 0 ? 1 : 2;
    const drop = this.#drops.get(space);
    if (drop === undefined || drop.pass !== pass) return;
    drop.waiting.delete(message.partition);
    if (drop.waiting.size > 0) return;
    if (drop.pass === 1) {
      drop.pass = 2;
      drop.dueMs = nowMs + dropSettleMs;
      for (const partition of this.#partitions) drop.waiting.add(partition);
    } else {
      drop.pass = 'forgetting';
      drop.dueMs = nowMs + dropAgainMs;
      this.#forget(space);
    }
  }

  /** Sends what is due. */
  tick(nowMs: number): void {
    for (const [space, drop] of this.#drops) {
      if (nowMs < drop.dueMs) continue;
      drop.dueMs = nowMs + dropAgainMs;
      // Refused where too much was in flight.
      if (drop.pass === 'forgetting') this.#forget(space);
      else for (const partition of drop.waiting) this.#ask(space, drop.pass, partition);
    }
  }

  #ask(space: SpaceId, pass: 1 | 2, partition: PartitionId): void {
    const call: CallId = (space * 2 + pass - 1) * partitionsPerCall + partition;
    this.#send(partition, { kind: 'drop-space', call, space });
  }
}
