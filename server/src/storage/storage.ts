/** A node's storage: the log and the snapshots, opened in the order that lets each help the other. */
import { assert } from '../base/assert.ts';
import type { Clock, Disk } from '../base/doors.ts';
import type { GroupId } from '../base/ids.ts';
import { LogDamaged } from './damage.ts';
import type { RecoveredGroup, ReplicaRecord } from './entry.ts';
import { hasIdentity } from './identity.ts';
import { type LogOptions, WriteAheadLog } from './log.ts';
import { logFolder } from './segments.ts';
import type { SnapshotSummary } from './snapshot-file.ts';
import type { SnapshotWriter } from './snapshot-writer.ts';
import { hasSnapshots, SnapshotStore, type SnapshotStoreOptions } from './snapshots.ts';

/** What `Storage.open` needs besides its doors. */
export interface StorageOptions extends Omit<LogOptions, 'bases'> {
  /** Bytes reserved for a snapshot before any is known; `snapshotReserveBytesMin` in earnest. */
  readonly reserveBytesMin: number;
  /** Sees snapshots while they are verified: `SnapshotStoreOptions.reading`. */
  readonly reading?: Required<SnapshotStoreOptions>['reading'];
}

/** What `Storage.open` resolves to. */
export interface OpenedStorage {
  readonly storage: Storage;
  /**
   * In order of group: what goes on from `storage.snapshots`' newest of each, by applying the entries.
   * A group that is absent has neither.
   */
  readonly recovered: readonly RecoveredGroup[];
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
}

/** See the top of the file. */
export class Storage {
  readonly log: WriteAheadLog;
  readonly snapshots: SnapshotStore;

  private constructor(log: WriteAheadLog, snapshots: SnapshotStore) {
    this.log = log;
    this.snapshots = snapshots;
  }

  /** Rejects with LogDamaged or FormatError, and then nothing may be served; with DiskError. */
  static async open(disk: Disk, clock: Clock, options: StorageOptions): Promise<OpenedStorage> {
    // Snapshots follow the log: where it is gone, a new one beside them would hide what was lost.
    if (!(await hasIdentity(disk)) && (await hasSnapshots(disk)))
      throw new LogDamaged('snapshots are there, it is not', { file: logFolder, offset: 0 });
    const { snapshots, warnings } = await SnapshotStore.open(disk, clock, options);
    let log: WriteAheadLog | undefined;
    try {
      const opened = await WriteAheadLog.open(disk, clock, {
        ...options,
        bases: snapshots.bases(),
      });
      log = opened.log;
      const storage = new Storage(log, snapshots);
      // The power may have failed between a tombstone and the end of what it buries.
      await snapshots.removeDead(
        opened.recovered.flatMap(({ replica }) => (replica === undefined ? [] : [replica])),
      );
      return {
        storage,
        recovered: opened.recovered,
        warnings: [...warnings, ...opened.warnings],
      };
    } catch (error) {
      await snapshots.close();
      // Else it would go on preparing segments.
      await log?.close();
      if (!(error instanceof LogDamaged) || warnings.length === 0) throw error;
      throw new LogDamaged([error.what, ...warnings].join('; '), error.place, { cause: error });
    }
  }

  /**
   * Ends a snapshot: file and name durable, then its mark, then what is older may go. Resolves when the
   * mark is durable and the old files are gone. Rejects with DiskError as `SnapshotWriter.add` does.
   */
  async complete(writer: SnapshotWriter, stateHash: bigint): Promise<SnapshotSummary> {
    const summary = await writer.finish(stateHash);
    const replica = this.log.replicaOf(summary.mark.group)?.replica ?? 0;
    assert(summary.replica === replica, 'a snapshot is of the replica that is here');
    const batch = { entries: [], marks: [summary.mark] };
    await new Promise<void>((resolve) => this.log.append(batch, resolve));
    await this.snapshots.retire(summary.mark.group);
    return summary;
  }

  /**
   * Lets the log go up to a group's newest snapshot, instead of the older one, after reading it through:
   * for an idle group that `log.holders()` names with `repeated-mark`. Rejects with SnapshotDamaged:
   * then a new snapshot is due.
   */
  async confirm(group: GroupId): Promise<void> {
    await this.snapshots.verify(group);
    const newest = this.snapshots.newest(group);
    if (newest === undefined) return;
    const batch = { entries: [], marks: [newest.mark] };
    await new Promise<void>((resolve) => this.log.append(batch, resolve));
  }

  /**
   * Ends a replica: its tombstone is durable, then its snapshots go; segments that only it holds follow.
   * No snapshot of the group is on its way, and nothing of it is appended any more. Rejects with
   * DiskError; a start afterwards finishes what was not done.
   */
  async bury(group: GroupId, replica: number): Promise<void> {
    assert(
      !this.snapshots.isUnderWay(group),
      'a replica is buried when its last snapshot has ended',
    );
    const tombstone: ReplicaRecord = { group, replica, state: 'removed' };
    const batch = { entries: [], replicas: [tombstone] };
    await new Promise<void>((resolve) => this.log.append(batch, resolve));
    await this.snapshots.removeDead([tombstone]);
  }

  /** `reserve`: the disk is full; refuse writes, let takes, receipts, expiry and snapshots pass. */
  reserveState(): 'ok' | 'reserve' {
    const states = [this.log.reserveState(), this.snapshots.reserveState()];
    return states.includes('reserve') ? 'reserve' : 'ok';
  }

  /** Waits until all appended is durable, and closes the files. No snapshot is on its way then. */
  async close(): Promise<void> {
    await this.snapshots.close();
    await this.log.close();
  }
}
