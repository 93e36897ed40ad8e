import type { Cancel, Clock } from '../base/doors.ts';
import { snapshotLostMs } from '../base/limits.ts';
import type { Message } from '../raft/message.ts';
import type { SnapshotStore } from '../storage/snapshots.ts';
import type { Peers } from './partition-host.ts';
import type { AnyGroup } from './turn-loop.ts';

/**
 * Snapshots from leaders here to followers elsewhere. The core hears of one that was lost after a while: its
 * receiver gets nothing else meanwhile, and so there is one at a time on its way to each.
 */
export class SnapshotSender {
  readonly #clock: Clock;
  readonly #snapshots: SnapshotStore;
  readonly #peers: Peers;
  readonly #isServing: () => boolean;
  /** By group and receiver: forgets the snapshot that is on its way there. */
  readonly #sending = new Map<string, Cancel>();

  constructor(options: {
    clock: Clock;
    snapshots: SnapshotStore;
    peers: Peers;
    /** Whether the host drives its groups. */
    isServing: () => boolean;
  }) {
    this.#clock = options.clock;
    this.#snapshots = options.snapshots;
    this.#peers = options.peers;
    this.#isServing = options.isServing;
  }

  /** Sends a group's newest snapshot with the message that names it. */
  async send(group: AnyGroup, message: Message): Promise<void> {
    const key = `${group.id}/${message.to}`;
    this.#sending.get(key)?.();
    const lost = (): void => {
      forget();
      if (this.#isServing()) group.replica.reportSnapshot(message.to, false);
    };
    const cancel = this.#clock.after(snapshotLostMs, lost);
    const forget = (): void => {
      cancel();
      if (this.#sending.get(key) === forget) this.#sending.delete(key);
    };
    this.#sending.set(key, forget);
    const chunks: Uint8Array[] = [];
    try {
      const keep = (chunk: Uint8Array): void => void chunks.push(chunk.slice());
      const found = await this.#snapshots.load(group.id, keep);
      if (this.#sending.get(key) !== forget) return;
      const isThere = found?.mark.index === message.snapshot?.index;
      const end = isThere ? await this.#peers.sendSnapshot(group.id, message, chunks) : 'lost';
      if (end === 'lost' && this.#sending.get(key) === forget) lost();
    } catch {
      // Damaged or gone meanwhile: another is cut in time. A later sending is its own matter.
      if (this.#sending.get(key) === forget) lost();
    }
  }
}
