import { assert } from '../base/assert.ts';
import type { PartitionId, Term } from '../base/ids.ts';
import type { CoordinatorId, FromLeader } from '../coordination/messages.ts';

/** A router of this node, as its host sees it. */
export interface RouterPort {
  /** This incarnation of the router; above 0, and never used again. */
  readonly id: CoordinatorId;
  /** Answers of one turn, in order for each partition. The array is the router's. */
  deliver(messages: readonly FromLeader[]): void;
  /** A partition is led here, in this epoch, from now on. */
  leadership(partition: PartitionId, epoch: Term): void;
}

interface Attached {
  readonly port: RouterPort;
  outbox: FromLeader[];
}

/** The routers attached to a host, and the answers that wait for the end of the turn. */
export class Routers {
  readonly #attached = new Map<CoordinatorId, Attached>();
  /** Those with answers, in the order in which they got their first. */
  #due: Attached[] = [];

  /** How many are attached. */
  get size(): number {
    return this.#attached.size;
  }

  add(port: RouterPort): void {
    assert(!this.#attached.has(port.id), 'a coordinator id is used once');
    this.#attached.set(port.id, { port, outbox: [] });
  }

  /** Its answers that were not delivered are dropped with it. */
  remove(id: CoordinatorId): void {
    this.#attached.delete(id);
  }

  /** Queues an answer. One for a router that is gone is nobody's. */
  send(to: CoordinatorId, message: FromLeader): void {
    const router = this.#attached.get(to);
    if (router === undefined) return;
    if (router.outbox.length === 0) this.#due.push(router);
    router.outbox.push(message);
  }

  /** Whether answers wait. */
  get wantsDelivery(): boolean {
    return this.#due.length > 0;
  }

  /** Hands over what waits; returns how many messages. Routers may send to the host meanwhile. */
  deliver(): number {
    if (this.#due.length === 0) return 0;
    const due = this.#due;
    this.#due = [];
    let count = 0;
    for (const router of due) {
      const messages = router.outbox;
      router.outbox = [];
      if (this.#attached.get(router.port.id) !== router) continue;
      count += messages.length;
      router.port.deliver(messages);
    }
    return count;
  }

  /** Tells every router of a leadership. */
  announce(partition: PartitionId, epoch: Term): void {
    for (const { port } of this.#attached.values()) port.leadership(partition, epoch);
  }
}
