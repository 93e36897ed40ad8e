import type { Cancel, Clock } from '../base/doors.ts';
import type { NodeId, PartitionId } from '../base/ids.ts';
import { historyAgainMs, historyUnavailableMs } from '../base/limits.ts';
import type { HistoryBounds, HistoryReader } from '../router/histories.ts';
import { decodeEvent } from '../space/event-codec.ts';
import { comparePlaces, type EventPlace, type SpaceEvent } from '../space/history.ts';
import type { HistoryOutcome } from '../transport/history-codec.ts';
import type { HistoryCalls, HistoryHost } from './history-calls.ts';

/** What readers need to find histories. */
export interface HistorySources {
  readonly clock: Clock;
  readonly host: HistoryHost;
  readonly calls: Pick<HistoryCalls, 'ask'>;
  /** Whether the replica here is one to read: it votes, so it hears all that is committed. */
  readonly isOwn: (partition: PartitionId) => boolean;
  /** Nodes that have a replica and can be asked, the best first. */
  readonly others: (partition: PartitionId) => readonly NodeId[];
  /** Calls `run` when replicas may have come or gone. */
  readonly onChange: (run: () => void) => Cancel;
}

/**
 * Reads one partition's history: the own replica's where there is one, else another node's, a page at a
 * time. Where that one goes away it goes on at the next, from the place that it has reached.
 */
export class MeshHistoryReader implements HistoryReader {
  readonly #sources: HistorySources;
  readonly #partition: PartitionId;
  readonly #wake: () => void;
  readonly #cancelChange: Cancel;
  #cancelOwn: Cancel | undefined;
  #cancelAgain: Cancel = () => undefined;
  /** What the last answer held and is not read yet. */
  #page: readonly SpaceEvent[] = [];
  #isAsking = false;
  #isCompacted = false;
  /** Since when nobody has answered; undefined: somebody has. */
  #silentSinceMs: number | undefined;
  #attempt = 0;
  #isClosed = false;

  constructor(sources: HistorySources, partition: PartitionId, wake: () => void) {
    this.#sources = sources;
    this.#partition = partition;
    this.#wake = wake;
    this.#cancelChange = sources.onChange(() => {
      // The replica here may be another one now.
      this.#cancelOwn?.();
      this.#cancelOwn = undefined;
      wake();
    });
  }

  bounds(answer: (bounds: HistoryBounds | undefined) => void): void {
    const own = this.#own();
    if (own !== undefined) {
      answer({ last: own.lastPlace, cut: own.cutPlace });
      return;
    }
    this.#ask(undefined, (outcome) => {
      if (outcome?.kind === 'bounds') answer({ last: outcome.last, cut: outcome.cut });
      else if (this.#isUnavailable) answer(undefined);
      else this.#later(() => this.bounds(answer));
    });
  }

  read(
    after: EventPlace,
    eventsMax: number,
    bytesMax: number,
  ): readonly SpaceEvent[] | 'compacted' | 'unavailable' {
    const own = this.#own();
    if (own !== undefined) return own.read(after, eventsMax, bytesMax);
    const page = this.#page.filter(({ place }) => comparePlaces(place, after) > 0);
    this.#page = page;
    if (page.length > 0) return page.slice(0, eventsMax);
    if (this.#isCompacted) return 'compacted';
    if (this.#isUnavailable) return 'unavailable';
    if (!this.#isAsking) this.#ask(after, (outcome) => this.#answered(outcome));
    return [];
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelChange();
    this.#cancelOwn?.();
    this.#cancelAgain();
  }

  /** The history of the replica here, which is watched from then on. */
  #own(): ReturnType<HistoryHost['spaceOf']>['history'] | undefined {
    const { host, isOwn } = this.#sources;
    const partition = this.#partition;
    if (!isOwn(partition) || !host.hasReplica(partition)) return undefined;
    this.#cancelOwn ??= host.onApplied(partition, this.#wake);
    this.#silentSinceMs = undefined;
    return host.spaceOf(partition).history;
  }

  get #isUnavailable(): boolean {
    const sinceMs = this.#silentSinceMs;
    if (sinceMs === undefined) return false;
    return this.#sources.clock.monotonicMs() - sinceMs >= historyUnavailableMs;
  }

  #ask(after: EventPlace | undefined, hear: (outcome: HistoryOutcome | undefined) => void): void {
    const { calls, others } = this.#sources;
    const nodes = others(this.#partition);
    const node = nodes[this.#attempt % Math.max(1, nodes.length)];
    this.#isAsking = true;
    const answered = (outcome: HistoryOutcome | undefined): void => {
      this.#isAsking = false;
      if (this.#isClosed) return;
      if (outcome !== undefined && outcome.kind !== 'absent') {
        this.#silentSinceMs = undefined;
        this.#attempt = 0;
      } else {
        this.#silentSinceMs ??= this.#sources.clock.monotonicMs();
        this.#attempt += 1;
      }
      hear(outcome);
    };
    if (node === undefined) answered(undefined);
    else calls.ask(node, { partition: this.#partition, after }, answered);
  }

  #answered(outcome: HistoryOutcome | undefined): void {
    if (outcome?.kind === 'events') {
      this.#page = outcome.records.map(decodeEvent);
      this.#wake();
    } else if (outcome?.kind === 'compacted') {
      this.#isCompacted = true;
      this.#wake();
    } else this.#later(this.#wake);
  }

  /** Nobody could say: asked again a little later. */
  #later(run: () => void): void {
    // Whoever reads meanwhile asks nobody.
    this.#isAsking = true;
    this.#cancelAgain = this.#sources.clock.after(historyAgainMs, () => {
      this.#isAsking = false;
      if (!this.#isClosed) run();
    });
  }
}
