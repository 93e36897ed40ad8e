/**
 * From files to state: snapshots are loaded, and the entries after them applied as far as they are known to
 * be committed (L2). What is in the log beyond that is for Raft to decide.
 */
import { hash64 } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import type { Clock, Disk } from '../base/doors.ts';
import { FormatError } from '../base/format-error.ts';
import type { GroupId, LogIndex, PartitionId } from '../base/ids.ts';
import { turnSliceMs } from '../base/limits.ts';
import { ClusterMap } from '../cluster/cluster-map.ts';
import { decodeMapEntry, decodeMapState } from '../cluster/map-codec.ts';
import { applyChange } from '../raft/change.ts';
import { decodeChange } from '../raft/change-codec.ts';
import { type Configuration, emptyConfiguration } from '../raft/configuration.ts';
import { decodeConfiguration } from '../raft/configuration-codec.ts';
import { Entry, noBytes, type Snapshot } from '../raft/message.ts';
import { readEntry } from '../space/entry-codec.ts';
import { SnapshotLoader } from '../space/snapshot-load.ts';
import { Space } from '../space/space.ts';
import type { SpaceLimits } from '../space/space-state.ts';
import type { LogEntry, RecoveredGroup } from '../storage/entry.ts';
import type { WriteAheadLog } from '../storage/log.ts';
import type { SnapshotSummary } from '../storage/snapshot-file.ts';
import { snapshotName } from '../storage/snapshots.ts';
import { Storage, type StorageOptions } from '../storage/storage.ts';
import type { GroupPast } from './group.ts';
import { isAlone, type ReplicaStart } from './replica.ts';
import { Slice } from './slice.ts';
import { StartError } from './start-error.ts';

/** A data folder, open. */
export interface OpenedData {
  readonly storage: Storage;
  readonly recovered: RecoveredState;
}

const mapGroup = 0 as GroupId;
const nothing: GroupPast = { tailBytes: 0, snapshotBytes: 0, appliedTerm: 0 };

/** The state of all groups as the disk has it. */
export class RecoveredState {
  map: ClusterMap = new ClusterMap();
  readonly spaces: Map<PartitionId, Space> = new Map();
  readonly pasts: Map<GroupId, GroupPast> = new Map();
  /** The replicas that live here. */
  readonly replicas: Map<GroupId, ReplicaStart> = new Map();
  /** Groups of which a replica lived here, and was removed: its id. */
  readonly buried: Map<GroupId, number> = new Map();
  readonly #limits: Partial<SpaceLimits>;

  constructor(limits: Partial<SpaceLimits> = {}) {
    this.#limits = limits;
  }

  /** The bounds of every partition's state, where they differ from `base/limits.ts`. */
  get limits(): Partial<SpaceLimits> {
    return this.#limits;
  }

  /** What was recovered of a partition, or an empty one. Its caller owns it. */
  spaceOf(partition: PartitionId): Space {
    return this.spaces.get(partition) ?? new Space({ partition, limits: this.#limits });
  }

  /** What was recovered of a group has its owner, or nobody wants it: its memory goes with that one. */
  forget(group: GroupId): void {
    this.spaces.delete(group as PartitionId);
    this.pasts.delete(group);
    this.replicas.delete(group);
  }

  /** What a group has behind it. */
  pastOf(group: GroupId): GroupPast {
    return this.pasts.get(group) ?? nothing;
  }
}

/** How a data folder is opened. */
export interface OpenDataOptions extends Omit<StorageOptions, 'reading'> {
  readonly spaceLimits?: Partial<SpaceLimits>;
  readonly onWarning?: (message: string) => void;
}

/**
 * Opens the log and the snapshots, and applies what they hold; nothing is answered for it. Rejects
 * with StartError (also where something has another format than this build reads), LogDamaged, SnapshotDamaged or DiskError, and then holds nothing.
 */
export async function openData(
  disk: Disk,
  clock: Clock,
  options: OpenDataOptions,
): Promise<OpenedData> {
  try {
    return await open(disk, clock, options);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new StartError('FORMAT_UNKNOWN', error.message, { cause: error });
  }
}

async function open(disk: Disk, clock: Clock, options: OpenDataOptions): Promise<OpenedData> {
  const state = new RecoveredState(options.spaceLimits);
  const loading = new Map<GroupId, LoadingGroup>();
  const { storage, recovered, warnings } = await Storage.open(disk, clock, {
    ...options,
    reading: (mark) => {
      const one = mark.group === mapGroup ? new LoadingMap() : new LoadingSpace(state.limits);
      loading.set(mark.group, one);
      const file = snapshotName(mark);
      return (chunk) => inFile(file, () => one.add(chunk));
    },
  });
  for (const warning of warnings) options.onWarning?.(warning);
  try {
    const slice = new Slice(clock);
    for (const group of recovered) {
      const id = group.hardState.group;
      if (group.replica?.state !== 'living') {
        if (group.replica !== undefined) state.buried.set(id, group.replica.replica);
        continue;
      }
      const summary = storage.snapshots.newest(id);
      if (summary !== undefined) {
        const one = present(loading.get(id), 'a whole snapshot was read');
        inFile(snapshotName(summary.mark), () => one.finish(state, summary));
      } else if (id !== mapGroup)
        state.spaces.set(id as PartitionId, state.spaceOf(id as PartitionId));
      loading.delete(id);
      await replay({
        group,
        replica: group.replica.replica,
        summary,
        state,
        log: storage.log,
        slice,
        clock,
      });
    }
    checkComplete(state);
    return { storage, recovered: state };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

function inFile<T>(file: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw placed(error, file);
  }
}

/** The same error; one of a format says in which file it was found. */
function placed(error: unknown, file: string): unknown {
  return error instanceof FormatError ? new FormatError({ ...error.format, file }) : error;
}

/** A group's snapshot while it is read. It counts only once it has been read to its end. */
interface LoadingGroup {
  add(chunk: Uint8Array): void;
  /** Makes what was read the group's state. */
  finish(state: RecoveredState, summary: SnapshotSummary): void;
}

class LoadingMap implements LoadingGroup {
  #chunk: Uint8Array = new Uint8Array(0);

  add(chunk: Uint8Array): void {
    this.#chunk = chunk.slice();
  }

  finish(state: RecoveredState, { stateHash }: SnapshotSummary): void {
    checkHash(mapGroup, stateHash, hash64(this.#chunk));
    state.map = new ClusterMap(decodeMapState(this.#chunk));
  }
}

class LoadingSpace implements LoadingGroup {
  readonly #loader: SnapshotLoader;

  constructor(limits: Partial<SpaceLimits>) {
    this.#loader = new SnapshotLoader(limits);
  }

  add(chunk: Uint8Array): void {
    this.#loader.add(chunk);
  }

  finish(state: RecoveredState, { mark, stateHash }: SnapshotSummary): void {
    const space = new Space(this.#loader.finish());
    if (stateHash !== 0n) checkHash(mark.group, stateHash, space.stateHash());
    state.spaces.set(mark.group as PartitionId, space);
  }
}

/** A loaded snapshot's state is the state that was cut, or the code has changed its meaning. */
function checkHash(group: GroupId, written: bigint, loaded: bigint): void {
  if (written === BigInt.asUintN(64, loaded)) return;
  const message = `the snapshot of group ${group} loads as another state than it was cut from`;
  throw new StartError('DATA_INCOMPLETE', message);
}

async function replay(options: {
  readonly group: RecoveredGroup;
  readonly replica: number;
  readonly summary: SnapshotSummary | undefined;
  readonly state: RecoveredState;
  readonly log: WriteAheadLog;
  readonly slice: Slice;
  readonly clock: Clock;
}): Promise<void> {
  const { group, replica, summary, state, log, slice, clock } = options;
  const { hardState } = group;
  const id = hardState.group;
  const apply = applierOf(state, id);
  const snapshot =
    summary === undefined ? null : inFile(snapshotName(summary.mark), () => snapshotOf(summary));
  let configuration = snapshot?.configuration ?? emptyConfiguration;
  let tailBytes = 0;
  let applied = 0;
  slice.begin(turnSliceMs);
  for (const entry of group.entries) {
    // The log of a replica that is alone is committed as far as it goes, whatever it knew of that.
    if (entry.index > hardState.commit && !isAlone(configuration, replica)) break;
    try {
      if (entry.kind === 1) configuration = configurationAfter(configuration, entry);
      apply(entry);
    } catch (error) {
      throw placed(error, log.fileOf(id, entry.index));
    }
    tailBytes += entry.payload.length;
    applied += 1;
    if (!slice.over()) continue;
    // So that a signal to stop is heard while a long log is read.
    await new Promise<void>((resolve) => clock.soon(resolve));
    slice.begin(turnSliceMs);
  }
  const appliedTerm = group.entries[applied - 1]?.term ?? summary?.mark.term ?? 0;
  state.pasts.set(id, { tailBytes, snapshotBytes: summary?.bytes ?? 0, appliedTerm });
  const appliedIndex = (group.base + applied) as LogIndex;
  // Alone there is nobody who could ask for what is applied.
  const alone = isAlone(configuration, replica);
  state.replicas.set(id, {
    group: id,
    id: replica,
    configuration,
    applied: appliedIndex,
    log: {
      hardState: { ...hardState, commit: Math.max(hardState.commit, appliedIndex) },
      configuration,
      baseIndex: alone ? appliedIndex : group.base,
      baseTerm: alone ? appliedTerm : (summary?.mark.term ?? 0),
      entries: group.entries.slice(alone ? applied : 0).map(entryOf),
      snapshot,
    },
  });
}

function snapshotOf({ mark, context }: SnapshotSummary): Snapshot {
  const { index, term } = mark;
  return { index, term, configuration: decodeConfiguration(context), payload: noBytes };
}

function configurationAfter(before: Configuration, { payload }: LogEntry): Configuration {
  const outcome = applyChange(before, decodeChange(payload));
  assert(outcome.kind === 'changed', 'a committed change can be applied');
  return outcome.configuration;
}

function entryOf({ term, index, kind, payload }: LogEntry): Entry {
  return new Entry(term, index, kind, payload);
}

function applierOf(state: RecoveredState, group: GroupId): (entry: LogEntry) => void {
  if (group === mapGroup) {
    const { map } = state;
    return (entry) => {
      if (isNothing(entry)) map.pass(entry.index);
      else map.apply(entry.index, decodeMapEntry(entry.payload));
    };
  }
  const space = state.spaceOf(group as PartitionId);
  return (entry) => {
    if (isNothing(entry)) space.pass(entry.index);
    else space.apply(entry.index, readEntry(entry.payload));
  };
}

/** Whether an entry is Raft's own: a change, or the empty one with which a term begins. */
function isNothing({ kind, payload }: LogEntry): boolean {
  return kind === 1 || payload.length === 0;
}

/**
 * The map says which groups there are; one that is not in it lost the map. Where others have the map too,
 * what is known of it to be committed may end before the founding, and its leader tells the rest.
 */
function checkComplete({ map, replicas, spaces }: RecoveredState): void {
  const start = replicas.get(mapGroup);
  const isShared = start !== undefined && !isAlone(start.configuration, start.id);
  if (!map.founded && isShared) return;
  for (const partition of spaces.keys()) {
    if (partition <= map.partitions) continue;
    const message = map.founded
      ? `the data folder has partition ${partition}, its cluster map ends at ${map.partitions}`
      : `the data folder has partition ${partition}, and no cluster map`;
    throw new StartError('DATA_INCOMPLETE', message);
  }
}
