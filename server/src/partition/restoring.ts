/**
 * How a partition begins that a new cluster takes over from a backup: with a snapshot in place of its first
 * entries, the same one on every founder, at the index up to which the backup goes.
 */
import type { Clock } from '../base/doors.ts';
import type { PartitionId } from '../base/ids.ts';
import { snapshotCutBytes } from '../base/limits.ts';
import type { RestoredMap } from '../cluster/map-command.ts';
import { configurationOf, membersOf } from '../raft/configuration.ts';
import { encodeConfiguration } from '../raft/configuration-codec.ts';
import { noBytes } from '../raft/message.ts';
import { RestoredSpace } from '../space/restored-space.ts';
import type { Space } from '../space/space.ts';
import type { SpaceLimits } from '../space/space-state.ts';
import type { SnapshotMark } from '../storage/entry.ts';
import type { Storage } from '../storage/storage.ts';
import { foundingTerm, joiningBatch } from './founding.ts';
import type { GroupPast } from './group.ts';
import type { ReplicaStart } from './replica.ts';
import { StartError } from './start-error.ts';

/** A backup that a new cluster begins with; its files were looked through before. */
export interface Restore {
  readonly map: RestoredMap;
  /** How many partitions it has, and so the new cluster. */
  readonly partitions: number;
  /** The bytes of a partition's snapshot, cut anywhere. May be asked for again. */
  chunksOf(partition: PartitionId): AsyncIterable<Uint8Array>;
}

/** A partition that was restored, durably. */
export interface RestoredPartition {
  readonly space: Space;
  readonly start: ReplicaStart;
  readonly past: GroupPast;
}

/**
 * What is wrong with a node's backup, where the map says with which one its cluster began: every founder must
 * begin with the same one, or the replicas of a partition would differ. `isFounding`: partitions are to be made.
 */
export function restoreProblem(
  founded: string,
  named: string | undefined,
  isFounding: boolean,
): StartError | undefined {
  if (named === founded || (named === undefined && !isFounding)) return undefined;
  if (named === undefined && founded === '') return undefined;
  const began = founded === '' ? 'without a backup' : `with backup ${short(founded)}`;
  const has =
    named === undefined
      ? 'this node, which has yet to take its part of it over, was given none'
      : `this node was given backup ${short(named)}`;
  return new StartError('BACKUP_OTHER', `the cluster began ${began}, and ${has}`);
}

function short(backup: string): string {
  return backup.slice(0, 12);
}

/** Whether a founder's replica was begun, and the state that it is to begin with never came to be. */
export function isUnrestored({ log, applied }: ReplicaStart): boolean {
  const { entries, configuration } = log;
  const isEmpty = configuration === null || membersOf(configuration).length === 0;
  return applied === 0 && entries.length === 0 && isEmpty;
}

/**
 * Makes a partition's replica from a backup. A crash on the way leaves one that `isUnrestored`, or a whole
 * one. Undefined: `isEnding` said so. Rejects with DecodeError, FormatError, DiskError or what reading met.
 */
export async function restorePartition(
  { partition, replica, founders }: Beginning,
  around: Surroundings,
): Promise<RestoredPartition | undefined> {
  const { storage, restore } = around;
  // The replica is durable before it may get a snapshot.
  if (storage.log.replicaOf(partition) === undefined) {
    const batch = joiningBatch(partition, replica);
    await new Promise<void>((resolve) => storage.log.append(batch, resolve));
  }
  const spaces = new Set(restore.map.spaces.map(({ id }) => id));
  const restoring = new RestoredSpace(spaces, around.limits);
  for await (const chunk of restore.chunksOf(partition)) {
    if (around.isEnding()) return undefined;
    restoring.add(chunk);
  }
  const space = restoring.finish();
  const configuration = configurationOf(founders);
  const index = space.appliedIndex;
  const mark: SnapshotMark = { group: partition, index, term: foundingTerm };
  const origin = { replica, context: encodeConfiguration(configuration) };
  const bytes = await writeSnapshot(space, mark, { origin, around });
  if (bytes === undefined) return undefined;
  const hardState = { group: partition, term: foundingTerm, vote: 0, commit: index };
  const batch = { entries: [], hardStates: [hardState], marks: [mark] };
  await new Promise<void>((resolve) => storage.log.append(batch, resolve));
  const snapshot = { index, term: foundingTerm, configuration, payload: noBytes };
  return {
    space,
    start: {
      group: partition,
      id: replica,
      configuration,
      applied: index,
      log: {
        hardState: { term: foundingTerm, vote: 0, commit: index },
        configuration,
        baseIndex: index,
        baseTerm: foundingTerm,
        entries: [],
        snapshot,
      },
    },
    past: { tailBytes: 0, snapshotBytes: bytes, appliedTerm: foundingTerm },
  };
}

interface Beginning {
  readonly partition: PartitionId;
  /** This node's replica of it. */
  readonly replica: number;
  /** The first replicas, on all nodes. */
  readonly founders: readonly number[];
}

interface Surroundings {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly limits: Partial<SpaceLimits>;
  readonly restore: Restore;
  /** Whether the host ends: then it is given up. */
  readonly isEnding: () => boolean;
}

/** Writes the state to a file, slice by slice; resolves with its bytes, or undefined where it was given up. */
async function writeSnapshot(
  space: Space,
  mark: SnapshotMark,
  {
    origin,
    around: { storage, clock, isEnding },
  }: {
    readonly origin: { readonly replica: number; readonly context: Uint8Array };
    readonly around: Surroundings;
  },
): Promise<number | undefined> {
  const writer = await storage.snapshots.begin(mark, origin);
  const cut = space.beginSnapshot();
  try {
    for (;;) {
      const chunk = isEnding() ? 'ending' : cut.next(snapshotCutBytes);
      if (chunk === 'ending') {
        await writer.abort();
        return undefined;
      }
      if (chunk === undefined) break;
      await writer.add(chunk);
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    return (await writer.finish(space.stateHash())).bytes;
  } finally {
    cut.abort();
  }
}
