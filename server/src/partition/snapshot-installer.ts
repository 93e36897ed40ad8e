import { hash64 } from '@tuplet/proto';
import { assert, present } from '../base/assert.ts';
import { DiskError } from '../base/doors.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import type { ClusterMapState } from '../cluster/cluster-map.ts';
import { decodeMapState } from '../cluster/map-codec.ts';
import { encodeConfiguration } from '../raft/configuration-codec.ts';
import type { Message, Snapshot } from '../raft/message.ts';
import { SnapshotLoader } from '../space/snapshot-load.ts';
import { Space } from '../space/space.ts';
import type { SpaceLimits } from '../space/space-state.ts';
import type { SnapshotMark } from '../storage/entry.ts';
import type { SnapshotWriter } from '../storage/snapshot-writer.ts';
import type { Storage } from '../storage/storage.ts';
import { MapGroup } from './map-group.ts';
import type { PartitionGroup } from './partition-group.ts';
import { type Installation, logEntryOf } from './replica.ts';

/** A state that a leader has sent: in a file that has no name yet, and in memory. */
interface Staged {
  readonly snapshot: Snapshot;
  readonly writer: SnapshotWriter;
  readonly state: Space | ClusterMapState;
  isInstalling: boolean;
}

/**
 * Snapshots from leaders, on their way to become the state of a replica here: written to a file, told to
 * the core, and if it wants them, given their name, their mark in the log, and the place of the state.
 */
export class SnapshotInstaller {
  /** Installed. */
  count = 0;
  readonly #storage: Storage;
  readonly #limits: Partial<SpaceLimits>;
  readonly #quiet: (group: GroupId) => Promise<void>;
  readonly #onFatal: (error: Error) => void;
  readonly #onWarning: (message: string) => void;
  readonly #onInstalled: (group: MapGroup | PartitionGroup) => void;
  readonly #staged = new Map<GroupId, Staged>();
  /** What a group's snapshot is on its way to: being staged, or being installed. */
  readonly #underWay = new Map<GroupId, Promise<void>>();
  #isStopping = false;

  constructor(options: {
    storage: Storage;
    limits: Partial<SpaceLimits>;
    onFatal: (error: Error) => void;
    onWarning: (message: string) => void;
    /** Resolves when the group's own snapshot is being cut no more: an older mark must not come last. */
    quiet: (group: GroupId) => Promise<void>;
    /** The group's state is the snapshot's now. */
    onInstalled: (group: MapGroup | PartitionGroup) => void;
  }) {
    this.#storage = options.storage;
    this.#limits = options.limits;
    this.#quiet = options.quiet;
    this.#onFatal = options.onFatal;
    this.#onWarning = options.onWarning;
    this.#onInstalled = options.onInstalled;
  }

  /** Takes a snapshot in, then the message that brought it; a further one meanwhile is passed over. */
  receive(group: MapGroup | PartitionGroup, message: Message, chunks: readonly Uint8Array[]): void {
    const snapshot = present(message.snapshot, 'the message brings a snapshot');
    const { id } = group;
    if (this.#underWay.has(id) || this.#isStopping) return;
    // The core may want the one that is staged, and has not been asked yet.
    if (this.#staged.has(id) && group.replica.hasReady) return;
    // What cannot be of use is not worth a file.
    if (snapshot.index <= group.appliedIndex) group.replica.step(message);
    else this.#begin(id, this.#take(group, message, { snapshot, chunks }));
  }

  /** The core wants a snapshot installed; called again while it is. */
  install(group: MapGroup | PartitionGroup): void {
    if (this.#isStopping) return;
    const staged = this.#staged.get(group.id);
    const installation = present(group.replica.installation, 'there is one to install');
    assert(staged?.snapshot === installation.snapshot, 'what is installed was staged');
    if (staged.isInstalling) return;
    staged.isInstalling = true;
    this.#begin(group.id, this.#complete(group, staged, installation));
  }

  /** Ends what is on its way for a group that is driven no longer; resolves when nothing of it is. */
  async drop(group: GroupId): Promise<void> {
    await this.#underWay.get(group);
    await this.#giveUp(group);
  }

  /** Takes and installs nothing more; resolves when nothing is on its way. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#underWay.values());
    for (const group of [...this.#staged.keys()]) await this.#giveUp(group);
  }

  /** One piece of work of a group. It may have ended already when the next one begins. */
  #begin(group: GroupId, work: Promise<void>): void {
    const underWay = work
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        if (this.#underWay.get(group) === underWay) this.#underWay.delete(group);
      });
    this.#underWay.set(group, underWay);
  }

  async #take(
    group: MapGroup | PartitionGroup,
    message: Message,
    content: { readonly snapshot: Snapshot; readonly chunks: readonly Uint8Array[] },
  ): Promise<void> {
    await this.#giveUp(group.id);
    const state = this.#read(group, content.chunks);
    if (state === undefined) return;
    const staged = await this.#stage(group, content, state);
    if (staged === undefined) return;
    this.#staged.set(group.id, staged);
    group.replica.step(message);
    // A later term, or entries that came meanwhile: nobody will ask for it.
    if (!group.replica.hasAccepted(content.snapshot)) await this.#giveUp(group.id);
  }

  /** What a leader sent as a state; undefined where it cannot be read: it may be of a newer build. */
  #read(
    group: MapGroup | PartitionGroup,
    chunks: readonly Uint8Array[],
  ): Staged['state'] | undefined {
    try {
      if (group instanceof MapGroup)
        return decodeMapState(present(chunks[0], 'a map is one chunk'));
      const loader = new SnapshotLoader(this.#limits);
      for (const chunk of chunks) loader.add(chunk);
      return new Space(loader.finish());
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#onWarning(`a snapshot of group ${group.id} from its leader cannot be read: ${why}`);
      return undefined;
    }
  }

  /** Writes it to a file without a name; undefined where the disk has no room: the leader sends it again. */
  async #stage(
    group: MapGroup | PartitionGroup,
    { snapshot, chunks }: { readonly snapshot: Snapshot; readonly chunks: readonly Uint8Array[] },
    state: Staged['state'],
  ): Promise<Staged | undefined> {
    let writer: SnapshotWriter | undefined;
    try {
      writer = await this.#storage.snapshots.begin(markOf(group.id, snapshot), {
        replica: group.replica.id,
        context: encodeConfiguration(snapshot.configuration),
      });
      for (const chunk of chunks) await writer.add(chunk);
      const [first] = chunks;
      // The whole map is one chunk.
      const stateHash = group instanceof MapGroup && first !== undefined ? hash64(first) : 0n;
      await writer.seal(stateHash);
      return { snapshot, writer, state, isInstalling: false };
    } catch (error) {
      await writer?.abort();
      if (error instanceof DiskError && error.kind === 'full') return undefined;
      throw error;
    }
  }

  async #complete(
    group: MapGroup | PartitionGroup,
    { writer, state, snapshot }: Staged,
    { work, hardState, writtenCommit }: Installation,
  ): Promise<void> {
    const { log } = this.#storage;
    await this.#quiet(group.id);
    // The term first: after a crash no log may end in a later one. What is committed is not there yet.
    const term = { ...hardState, commit: writtenCommit };
    await new Promise<void>((resolve) => log.append({ entries: [], hardStates: [term] }, resolve));
    const { bytes } = await writer.publish();
    const entries = work.entries.map((entry) => logEntryOf(group.id, entry));
    const marks = [markOf(group.id, snapshot)];
    const batch = { entries, hardStates: [hardState], marks };
    await new Promise<void>((resolve) => log.append(batch, resolve));
    const past = { tailBytes: 0, snapshotBytes: bytes, appliedTerm: snapshot.term as Term };
    if (group instanceof MapGroup) {
      assert(!(state instanceof Space), 'the map is no space');
      group.replaceState(state, past);
    } else {
      assert(state instanceof Space, 'a partition has a space');
      group.replaceState(state, past);
    }
    group.replica.installed();
    this.#staged.delete(group.id);
    this.count += 1;
    this.#onInstalled(group);
    await this.#storage.snapshots.retire(group.id);
  }

  /** Gives up what was staged for a group. */
  async #giveUp(group: GroupId): Promise<void> {
    const staged = this.#staged.get(group);
    this.#staged.delete(group);
    await staged?.writer.abort();
  }

  #fail(error: unknown): void {
    this.#onFatal(error instanceof Error ? error : new Error(String(error)));
  }
}

function markOf(group: GroupId, { index, term }: Snapshot): SnapshotMark {
  return { group, index: index as LogIndex, term: term as Term };
}
