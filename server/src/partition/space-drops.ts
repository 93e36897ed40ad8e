import type { PartitionId, SpaceId } from '../base/ids.ts';
import { dropAgainMs, dropSettleMs } from '../base/limits.ts';
import { partitionIds } from '../cluster/slots.ts';
import type { CallId, DropSpace, FromLeader } from '../coordination/messages.ts';

/** A dropped space on its way out. Soft: a restart begins anew with what the map remembers. */
interface Drop {
  /** Partitions that have not answered `done` in this pass. */
  readonly waiting: Set<PartitionId>;
  pass: 1 | 2;
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

  /** Begins with a space that the map has dropped. */
  begin(space: SpaceId): void {
    if (this.#drops.has(space)) return;
    this.#drops.set(space, { waiting: new Set(this.#partitions), pass: 1, dueMs: 0 });
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
      this.#drops.delete(space);
      this.#forget(space);
    }
  }

  /** Sends what is due. */
  tick(nowMs: number): void {
    for (const [space, drop] of this.#drops) {
      if (nowMs < drop.dueMs) continue;
      drop.dueMs = nowMs + dropAgainMs;
      for (const partition of drop.waiting) {
        const call: CallId = (space * 2 + drop.pass - 1) * partitionsPerCall + partition;
        this.#send(partition, { kind: 'drop-space', call, space });
      }
    }
  }
}
