import type { Clock } from '../base/doors.ts';
import type { NodeId, PartitionId } from '../base/ids.ts';
import { historyWaitMs, notifyEventsMax, notifyMessageBytes } from '../base/limits.ts';
import type { PartitionHost } from '../partition/partition-host.ts';
import type { EventPlace } from '../space/history.ts';
import type { CoordinationItem } from '../transport/coordination-codec.ts';
import type { HistoryAskItem, HistoryOutcome } from '../transport/history-codec.ts';
import { type PeerAnswer, PeerCalls } from './peer-calls.ts';

/** What history calls need of this node's host. */
export type HistoryHost = Pick<PartitionHost, 'hasReplica' | 'spaceOf' | 'onApplied'>;

/** Histories of partitions, asked of nodes that have a replica. */
export class HistoryCalls {
  readonly #clock: Clock;
  readonly #host: HistoryHost;
  readonly #calls: PeerCalls<HistoryOutcome>;

  constructor(options: {
    readonly clock: Clock;
    readonly host: HistoryHost;
    /** To a node that is connected. */
    readonly say: (to: NodeId, item: CoordinationItem) => void;
  }) {
    this.#clock = options.clock;
    this.#host = options.host;
    this.#calls = new PeerCalls(options.say);
  }

  /** Asks a node for what follows a place, or for the bounds. Undefined: it could not be asked. */
  ask(
    to: NodeId,
    { partition, after }: Pick<HistoryAskItem, 'partition' | 'after'>,
    answer: PeerAnswer<HistoryOutcome>,
  ): void {
    this.#calls.ask(to, (call) => ({ kind: 'history-ask', call, partition, after }), answer);
  }

  connected(peer: NodeId): void {
    this.#calls.connected(peer);
  }

  broken(peer: NodeId): void {
    this.#calls.broken(peer);
  }

  answered(from: NodeId, call: number, outcome: HistoryOutcome): void {
    this.#calls.answered(from, call, outcome);
  }

  /** A node asks. */
  asked(peer: NodeId, { call, partition, after }: HistoryAskItem): void {
    const reply = this.#calls.reply(peer);
    const answer = (outcome: HistoryOutcome): void =>
      reply({ kind: 'history-answer', call, outcome });
    if (!this.#host.hasReplica(partition)) {
      answer({ kind: 'absent' });
      return;
    }
    if (after === undefined) {
      const { lastPlace, cutPlace } = this.#host.spaceOf(partition).history;
      answer({ kind: 'bounds', last: lastPlace, cut: cutPlace });
      return;
    }
    const found = this.#look(partition, after);
    if (found === undefined) this.#wait(partition, after, answer);
    else answer(found);
  }

  /** What follows a place; undefined: nothing yet. */
  #look(partition: PartitionId, after: EventPlace): HistoryOutcome | undefined {
    if (!this.#host.hasReplica(partition)) return { kind: 'absent' };
    const { history } = this.#host.spaceOf(partition);
    const records = history.records(after, notifyEventsMax, notifyMessageBytes);
    if (records === 'compacted') return { kind: records };
    return records.length === 0 ? undefined : { kind: 'events', records };
  }

  #wait(
    partition: PartitionId,
    after: EventPlace,
    answer: (outcome: HistoryOutcome) => void,
  ): void {
    const end = (outcome: HistoryOutcome): void => {
      cancelLook();
      cancelLate();
      answer(outcome);
    };
    const cancelLook = this.#host.onApplied(partition, () => {
      const found = this.#look(partition, after);
      if (found !== undefined) end(found);
    });
    const cancelLate = this.#clock.after(historyWaitMs, () => {
      end(this.#look(partition, after) ?? { kind: 'events', records: [] });
    });
  }
}
