import type { Clock } from '../base/doors.ts';
import { DiskError } from '../base/doors.ts';
import type { GroupId, LogIndex } from '../base/ids.ts';
import {
  logBytesShare,
  logSegmentsWanted,
  snapshotCutBytes,
  snapshotRetryMs,
  snapshotTailBytes,
  snapshotTailShare,
} from '../base/limits.ts';
import { encodeConfiguration } from '../raft/configuration-codec.ts';
import { noBytes } from '../raft/message.ts';
import { SnapshotDamaged } from '../storage/damage.ts';
import type { Storage } from '../storage/storage.ts';
import type { Group } from './group.ts';

type AnyGroup = Group<unknown>;

/** A snapshot that somebody waits for. */
interface Wanted {
  readonly group: GroupId;
  /** It is to contain what was applied up to here. */
  readonly index: LogIndex;
  settle(isThere: boolean): void;
}

/**
 * Cuts snapshots, one group at a time: a slice, a write, a breath of the event loop, until the state is
 * in a file; then its mark is logged and what is older goes (ARCHITECTURE 6).
 */
export class Snapshotter {
  /** Snapshots completed. */
  count = 0;
  /** Milliseconds of the longest slice, by the clock. */
  longestSliceMs = 0;
  readonly #clock: Clock;
  readonly #storage: Storage;
  readonly #groups: () => readonly AnyGroup[];
  readonly #tailBytes: number;
  readonly #segmentBytes: number;
  readonly #onFatal: (error: Error) => void;
  readonly #onWarning: (message: string) => void;
  #running: Promise<void> | undefined;
  /** Whose snapshot `#running` is, or was. */
  #at: GroupId | undefined;
  #stopping = false;
  #notBeforeMs = 0;
  readonly #wanted = new Set<Wanted>();

  constructor(options: {
    clock: Clock;
    storage: Storage;
    /** Bytes of the log's segments. */
    segmentBytes: number;
    groups: () => readonly AnyGroup[];
    /** Bytes of entries after which a snapshot may be due; `snapshotTailBytes` in earnest. */
    tailBytes?: number;
    onFatal: (error: Error) => void;
    onWarning: (message: string) => void;
  }) {
    this.#clock = options.clock;
    this.#storage = options.storage;
    this.#groups = options.groups;
    this.#segmentBytes = options.segmentBytes;
    this.#tailBytes = options.tailBytes ?? snapshotTailBytes;
    this.#onFatal = options.onFatal;
    this.#onWarning = options.onWarning;
  }

  /** Looks whether something is due; called often, cheap. */
  poke(): void {
    this.#settleWanted();
    if (this.#running !== undefined || this.#stopping) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#notBeforeMs) return;
    const work = this.#due() ?? this.#holder();
    if (work === undefined) return;
    this.#running = work()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Resolves with true when a group's newest snapshot reaches up to an index; false where none can be made. */
  reaching(group: GroupId, index: LogIndex): Promise<boolean> {
    return new Promise((resolve) => {
      const wanted: Wanted = {
        group,
        index,
        settle: (isThere) => {
          this.#wanted.delete(wanted);
          resolve(isThere);
        },
      };
      if (this.#stopping) resolve(false);
      else this.#wanted.add(wanted);
      this.poke();
    });
  }

  /** Resolves when nothing of a group is being cut. */
  async idle(group: GroupId): Promise<void> {
    if (this.#at === group) await this.#running;
  }

  /** Begins nothing more, gives up what is being cut; resolves when that is done. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const each of [...this.#wanted]) each.settle(false);
    await this.#running;
  }

  /** Tells those whose snapshot is there, or whose group is no more. */
  #settleWanted(): void {
    for (const wanted of [...this.#wanted]) {
      const { group, index } = wanted;
      const newest = this.#storage.snapshots.newest(group)?.mark.index ?? 0;
      if (newest >= index) wanted.settle(true);
      else if (!this.#groups().some(({ id }) => id === group)) wanted.settle(false);
    }
  }

  #isWanted({ id, appliedIndex }: AnyGroup): boolean {
    for (const { group, index } of this.#wanted)
      if (group === id && index <= appliedIndex) return true;
    return false;
  }

  /** The group that is furthest beyond its measure. */
  #due(): (() => Promise<void>) | undefined {
    let dueGroup: AnyGroup | undefined;
    let dueBytes = 0;
    for (const group of this.#groups()) {
      if (group.replica.installation !== undefined) continue;
      // A follower waits for one, and nothing else, or a backup.
      if (group.replica.wantsSnapshot || this.#isWanted(group)) return () => this.#cut(group);
      const beyond = group.tailBytes - this.#measure(group);
      if (beyond < dueBytes) continue;
      dueGroup = group;
      dueBytes = beyond;
    }
    if (dueGroup === undefined) return undefined;
    const group = dueGroup;
    return () => this.#cut(group);
  }

  #measure(group: AnyGroup): number {
    return Math.max(this.#tailBytes, snapshotTailShare * group.snapshotBytes);
  }

  /** An idle group that keeps the oldest segment, and need not, once the log is long. */
  #holder(): (() => Promise<void>) | undefined {
    const { log } = this.#storage;
    // Groups at work rightly hold what came since their older snapshot, in frames.
    let bytes = 0;
    for (const { tailBytes, olderTailBytes } of this.#groups()) bytes += tailBytes + olderTailBytes;
    const wanted = logSegmentsWanted + (logBytesShare * bytes) / this.#segmentBytes;
    if (log.segmentCount() <= wanted) return undefined;
    for (const { group: id, needs } of log.holders()) {
      const group = this.#groups().find((each) => each.id === id);
      if (group === undefined || group.replica.installation !== undefined) continue;
      const newest = this.#storage.snapshots.newest(id)?.mark.index ?? 0;
      // The newest snapshot covers what it holds: it is made to count twice.
      if (needs === 'repeated-mark' && newest > 0) return () => this.#confirm(group);
      // Where nothing was applied since, what it holds is not committed, and no snapshot covers it.
      if (group.appliedIndex > newest) return () => this.#cut(group);
    }
    return undefined;
  }

  async #confirm(group: AnyGroup): Promise<void> {
    this.#at = group.id;
    try {
      await this.#storage.confirm(group.id);
      group.olderTailBytes = 0;
    } catch (error) {
      if (!(error instanceof SnapshotDamaged)) throw error;
      this.#onWarning(`${error.message}; another is cut`);
      await this.#cut(group);
    }
  }

  async #cut(group: AnyGroup): Promise<void> {
    this.#at = group.id;
    const cut = group.cut();
    const { tailBytes, installedCount, replica } = group;
    const { configuration } = replica;
    try {
      const { index, term } = cut;
      const writer = await this.#storage.snapshots.begin(
        { group: group.id, index, term },
        { replica: replica.id, context: encodeConfiguration(configuration) },
      );
      for (;;) {
        // One that a leader has sent is newer than what is cut here.
        const isOvertaken =
          group.installedCount !== installedCount || replica.installation !== undefined;
        if (this.#stopping || isOvertaken) {
          await writer.abort();
          return;
        }
        const startMs = this.#clock.monotonicMs();
        const chunk = cut.next(snapshotCutBytes);
        const tookMs = this.#clock.monotonicMs() - startMs;
        if (tookMs > this.longestSliceMs) this.longestSliceMs = tookMs;
        if (chunk === undefined) break;
        await writer.add(chunk);
        await new Promise<void>((resolve) => this.#clock.soon(resolve));
      }
      const { bytes } = await this.#storage.complete(writer, cut.stateHash);
      group.tailBytes -= tailBytes;
      group.olderTailBytes = tailBytes;
      group.snapshotBytes = bytes;
      replica.snapshotCut({ index, term, configuration, payload: noBytes });
      this.count += 1;
    } finally {
      cut.end();
    }
  }

  #failed(error: unknown): void {
    if (error instanceof DiskError && error.kind === 'full') {
      // The log goes on; there may be room later.
      this.#notBeforeMs = this.#clock.monotonicMs() + snapshotRetryMs;
      this.#onWarning(`a snapshot was given up: ${error.message}`);
      for (const each of [...this.#wanted]) each.settle(false);
      return;
    }
    this.#onFatal(error instanceof Error ? error : new Error(String(error)));
  }
}
