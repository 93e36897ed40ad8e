/** Random work on a node's storage, as Raft replicas would do it; a StorageModel beside it takes notes. */
import { present } from '../src/base/assert.ts';
import { DiskError } from '../src/base/doors.ts';
import type { GroupId, LogIndex } from '../src/base/ids.ts';
import type {
  HardState,
  LogBatch,
  LogEntry,
  ReplicaRecord,
  SnapshotMark,
} from '../src/storage/entry.ts';
import type { SnapshotOrigin } from '../src/storage/snapshot-file.ts';
import type { Storage } from '../src/storage/storage.ts';
import type { World } from './disk-world.ts';
import { modelGroups, type StorageModel, termOf } from './storage-model.ts';

/** How often each thing was done, over all lives. */
export interface WorkloadCounts {
  acknowledged: number;
  snapshots: number;
  /** Snapshots from elsewhere: beyond the log, against an entry of another term, and at one it has. */
  installedBeyond: number;
  installedAgainst: number;
  installedWithin: number;
  buried: number;
  /** Replicas that began where another had ended. */
  begunAnew: number;
  replacedTails: number;
  /** Batches that no frame holds. */
  largeBatches: number;
}

/** Where a group stands while a batch is made up. */
interface Draft {
  lastIndex: number;
  lastTerm: number;
  readonly hardState: HardState;
}

/** See the top of the file. */
export class StorageWorkload {
  readonly counts: WorkloadCounts = {
    acknowledged: 0,
    snapshots: 0,
    installedBeyond: 0,
    installedAgainst: 0,
    installedWithin: 0,
    buried: 0,
    begunAnew: 0,
    replacedTails: 0,
    largeBatches: 0,
  };
  /** What must not happen, and did. */
  broken: unknown;
  readonly #world: World;
  readonly #model: StorageModel;
  /** Groups whose own appends are kept back while something runs. */
  readonly #busy = new Set<GroupId>();
  #snapshotting = false;

  constructor(world: World, model: StorageModel) {
    this.#world = world;
    this.#model = model;
  }

  /** Whether a snapshot or a burial is on its way: storage is not closed then. */
  get isBusy(): boolean {
    return this.#snapshotting || this.#busy.size > 0;
  }

  /** The process that did it has ended. */
  forget(): void {
    this.#busy.clear();
    this.#snapshotting = false;
  }

  /** Appends a batch of random records. */
  appendRandom(storage: Storage): void {
    const isLarge = this.#below(25) === 0;
    const entries: LogEntry[] = [];
    const replicas: ReplicaRecord[] = [];
    const drafts = new Map<GroupId, Draft>();
    const main = this.#group();
    for (let count = isLarge ? 12 : this.#below(6); count >= 0; count--) {
      const group = isLarge && this.#below(6) > 0 ? main : this.#group();
      if (this.#busy.has(group)) continue;
      const draft = drafts.get(group) ?? this.#draft(group, replicas);
      drafts.set(group, draft);
      entries.push(this.#entry(group, draft, isLarge ? 3000 + this.#below(6000) : this.#size()));
    }
    if (isLarge && entries.length > 8) this.counts.largeBatches++;
    const hardStates: HardState[] = [];
    for (const draft of drafts.values()) {
      if (draft.lastTerm > draft.hardState.term || this.#below(3) === 0)
        hardStates.push(this.#hardState(draft));
    }
    this.#append(storage, { entries, hardStates, replicas });
  }

  /** Does one of the rarer things, if none is on its way and the log is at rest. */
  manageRandom(storage: Storage): void {
    if (this.isBusy || !this.#model.isSettled) return;
    const [holder] = storage.log.holders();
    const group = holder !== undefined && this.#below(3) === 0 ? holder.group : this.#group();
    const { replica, isRemoved } = this.#model.of(group);
    if (isRemoved) return;
    const kind = replica === 0 ? 0 : this.#below(6);
    if (kind === 1 || kind === 2) this.#run(group, () => this.#install(storage, group));
    else if (kind === 3) this.#run(group, () => this.#bury(storage, group));
    else this.#snapshot(storage, group);
  }

  #append(storage: Storage, batch: LogBatch): void {
    const noted = this.#model.note(batch);
    storage.log.append(batch, () => {
      this.#model.acknowledge(noted);
      this.counts.acknowledged++;
    });
  }

  /** Keeps a group's own appends back while something runs. */
  #run(group: GroupId, work: () => Promise<void>): void {
    this.#busy.add(group);
    work().then(
      () => this.#busy.delete(group),
      (error: unknown) => this.#gaveUp(error, () => this.#busy.delete(group)),
    );
  }

  #gaveUp(error: unknown, done: () => void): void {
    // A disk that is full or broken is part of the game; after an error nothing more is done.
    if (!(error instanceof DiskError)) this.broken = error;
    else if (error.kind === 'full') {
      this.#model.installationEnded();
      done();
    }
  }

  /** Cuts a snapshot of a group at its end, or confirms the one that is there. */
  #snapshot(storage: Storage, group: GroupId): void {
    const index = this.#model.lastIndex(group);
    if (index === 0) return;
    const newest = storage.snapshots.newest(group)?.mark.index ?? 0;
    // What is in a snapshot is committed: it is not replaced any more.
    const { hardState } = this.#model.of(group);
    const committed = { ...hardState, commit: index as LogIndex };
    this.#append(storage, { entries: [], hardStates: [committed] });
    this.#snapshotting = true;
    const done = (): void => {
      this.#snapshotting = false;
    };
    const run = index === newest ? storage.confirm(group) : this.#cut(storage, group, index);
    run.then(done, (error: unknown) => this.#gaveUp(error, done));
  }

  async #cut(storage: Storage, group: GroupId, index: number): Promise<void> {
    const { terms, chain } = this.#model.of(group);
    const term = termOf(present(terms[index], 'a term'));
    const sum = present(chain[index], 'a sum');
    const mark = { group, index: index as LogIndex, term };
    const writer = await storage.snapshots.begin(mark, this.#origin(mark));
    await this.#write(writer, sum, index);
    await storage.complete(writer, BigInt(sum));
    this.counts.snapshots++;
  }

  async #install(storage: Storage, group: GroupId): Promise<void> {
    const mark = this.#markFromElsewhere(group);
    const { terms, chain } = this.#model.of(group);
    // The same entry there: the same entries before it (Ongaro 2014 §3.5), and so the same state.
    const isSame = terms[mark.index] === mark.term;
    const sum = isSame ? present(chain[mark.index], 'a sum') : this.#world.random.uint32();
    this.#model.installing(mark, sum);
    const writer = await storage.snapshots.begin(mark, this.#origin(mark));
    await this.#write(writer, sum, mark.index);
    await writer.finish(BigInt(sum));
    this.#model.installed();
    const term = termOf(Math.max(this.#model.of(group).hardState.term, mark.term));
    const draft = {
      lastIndex: mark.index,
      lastTerm: term,
      hardState: this.#model.of(group).hardState,
    };
    const entries: LogEntry[] = [];
    for (let count = this.#below(3); count > 0; count--) {
      entries.push(this.#next(group, draft, this.#size()));
    }
    const hardState = { group, term, vote: 0, commit: mark.index };
    const batch = { entries, hardStates: [hardState], marks: [mark] };
    const noted = this.#model.note(batch);
    await new Promise<void>((resolve) => {
      storage.log.append(batch, () => {
        this.#model.acknowledge(noted);
        resolve();
      });
    });
    this.#model.installationEnded();
    await storage.snapshots.retire(group);
  }

  /** Above the commit index; the log may have that index, with the same term or another, or not. */
  #markFromElsewhere(group: GroupId): SnapshotMark {
    const { terms, hardState } = this.#model.of(group);
    const last = terms.length - 1;
    const free = last - hardState.commit;
    const newest = termOf(Math.max(terms[last] ?? 0, hardState.term));
    if (free === 0 || this.#below(3) === 0) {
      this.counts.installedBeyond++;
      return { group, index: (last + 1 + this.#below(20)) as LogIndex, term: newest };
    }
    const index = (hardState.commit + 1 + this.#below(free)) as LogIndex;
    if (this.#below(2) === 0) {
      this.counts.installedWithin++;
      return { group, index, term: termOf(present(terms[index], 'a term')) };
    }
    this.counts.installedAgainst++;
    return { group, index, term: termOf(newest + 1) };
  }

  async #bury(storage: Storage, group: GroupId): Promise<void> {
    const { replica } = this.#model.of(group);
    const noted = this.#model.note({
      entries: [],
      replicas: [{ group, replica, state: 'removed' }],
    });
    await storage.bury(group, replica);
    this.#model.acknowledge(noted);
    this.counts.buried++;
  }

  async #write(
    writer: { add(chunk: Uint8Array): Promise<void> },
    sum: number,
    fill: number,
  ): Promise<void> {
    await writer.add(new TextEncoder().encode(String(sum)));
    for (let count = this.#below(4); count > 0; count--) {
      await writer.add(new Uint8Array(this.#below(3000)).fill(fill));
    }
  }

  #origin({ group, index }: SnapshotMark): SnapshotOrigin {
    const { replica } = this.#model.of(group);
    return { replica, context: new TextEncoder().encode(`${group} at ${index}`) };
  }

  /** Where a group stands; a group whose replica has gone, or never was, gets one first. */
  #draft(group: GroupId, replicas: ReplicaRecord[]): Draft {
    const { replica, isRemoved, terms, hardState } = this.#model.of(group);
    if (group === modelGroups[0] || (replica > 0 && !isRemoved)) {
      return { lastIndex: terms.length - 1, lastTerm: terms.at(-1) ?? 0, hardState };
    }
    if (isRemoved) this.counts.begunAnew++;
    replicas.push({ group, replica: replica + 1 + this.#below(3), state: 'living' });
    const nothing = { group, term: 0, vote: 0, commit: 0 as LogIndex } as const;
    return { lastIndex: 0, lastTerm: 0, hardState: nothing };
  }

  #entry(group: GroupId, draft: Draft, size: number): LogEntry {
    const free = draft.lastIndex - draft.hardState.commit;
    if (free > 0 && this.#below(20) === 0) {
      draft.lastIndex -= 1 + this.#below(free);
      draft.lastTerm += 1;
      this.counts.replacedTails++;
    }
    return this.#next(group, draft, size);
  }

  #next(group: GroupId, draft: Draft, size: number): LogEntry {
    const payload = new Uint8Array(size);
    for (let at = 0; at < size; at += 7) payload[at] = this.#below(256);
    draft.lastIndex += 1;
    draft.lastTerm = termOf(draft.lastTerm);
    return {
      group,
      index: draft.lastIndex as LogIndex,
      term: termOf(draft.lastTerm),
      kind: this.#below(10) === 0 ? 1 : 0,
      payload,
    };
  }

  #hardState({ hardState, lastIndex, lastTerm }: Draft): HardState {
    const term = termOf(Math.max(hardState.term, lastTerm) + this.#below(2));
    const more = this.#below(2) * this.#below(lastIndex - hardState.commit + 1);
    const commit = (hardState.commit + more) as LogIndex;
    const vote = this.#below(3) === 0 ? this.#world.random.uint32() : this.#below(5);
    return { ...hardState, term, vote, commit };
  }

  #size(): number {
    if (this.#below(30) === 0) return this.#below(9000);
    return this.#below(20) === 0 ? 0 : this.#below(300);
  }

  #group(): GroupId {
    return present(modelGroups[this.#below(modelGroups.length)], 'a group');
  }

  #below(count: number): number {
    return this.#world.random.uint32() % count;
  }
}
