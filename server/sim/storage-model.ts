/**
 * A workload on a node's storage, and what must come back: after any crash, the state after some prefix
 * of the records appended, the same for all groups, that holds everything whose callback came.
 */
import { present } from '../src/base/assert.ts';
import { DiskError } from '../src/base/doors.ts';
import type { GroupId, LogIndex, Term } from '../src/base/ids.ts';
import { hostChecksum } from '../src/host/checksum.ts';
import type { HardState, LogBatch, LogEntry, SnapshotMark } from '../src/storage/entry.ts';
import type { OpenedStorage, Storage } from '../src/storage/storage.ts';
import type { World } from './disk-world.ts';

const groups = [0, 1, 256] as const;

/** One group: its log as checksums that chain, so that one number stands for all entries up to there. */
interface ModelGroup {
  hardState: HardState;
  /** `chain[index]` covers the entries 1..index; `chain[0]` is 0. */
  readonly chain: number[];
  readonly terms: number[];
  /** Entries up to here are in a snapshot that was loaded; they are not replaced. */
  base: number;
}

type ModelRecord =
  | { readonly kind: 'entry'; readonly entry: LogEntry }
  | { readonly kind: 'hard-state'; readonly state: HardState };

/** The sum of all groups after a number of records. */
export class StorageModel {
  readonly #world: World;
  readonly #groups = new Map<number, ModelGroup>();
  /** What was appended since the last start, in order; applied to `#groups` at once. */
  #records: ModelRecord[] = [];
  /** Digests after 0, 1, … of those records. */
  #digests: string[] = [];
  #acknowledged = 0;
  /** Records whose callback came, over all lives. */
  acknowledgedTotal = 0;
  snapshotsTotal = 0;
  /** What must not happen, and did. */
  broken: unknown;
  #snapshotting = false;
  /** What the last start found; the model goes on from it when asked. */
  #found: Map<number, ModelGroup> = new Map();

  constructor(world: World) {
    this.#world = world;
    for (const group of groups) this.#groups.set(group, emptyGroup(group));
    this.#digests = [this.digest()];
  }

  /** One number for each group: what the log and the hard states come to. */
  digest(): string {
    return digestOf(this.#groups);
  }

  /** Whether a snapshot is on its way: storage is not closed then. */
  get snapshotting(): boolean {
    return this.#snapshotting;
  }

  /** The digests that a start may find now, the oldest first. */
  allowed(): readonly string[] {
    return this.#digests.slice(this.#acknowledged);
  }

  /** The digests after each record of this life. */
  digests(): readonly string[] {
    return this.#digests;
  }

  /** Appends a batch of random records. */
  appendRandom(storage: Storage): void {
    const entries: LogEntry[] = [];
    const hardStates: HardState[] = [];
    for (let count = this.#below(6); count >= 0; count--) {
      const group = present(groups[this.#below(groups.length)], 'a group');
      entries.push(this.#entry(group));
    }
    if (this.#below(5) === 0) hardStates.push(this.#hardState());
    this.#append(storage, { entries, hardStates });
  }

  #append(storage: Storage, batch: LogBatch): void {
    const { length } = this.#records;
    storage.log.append(batch, () => {
      this.#acknowledged = Math.max(this.#acknowledged, length);
      this.acknowledgedTotal++;
    });
  }

  /** Cuts a snapshot of a random group at what is known durable, if none is on its way. */
  snapshotRandom(storage: Storage): void {
    if (this.#snapshotting || this.#acknowledged < this.#records.length) return;
    const group = present(groups[this.#below(groups.length)], 'a group');
    const model = present(this.#groups.get(group), 'a group of the model');
    const index = model.chain.length - 1;
    const newest = storage.snapshots.newest(group as GroupId)?.mark.index ?? 0;
    if (index === 0) return;
    this.#snapshotting = true;
    const done = (): void => {
      this.#snapshotting = false;
    };
    const gaveUp = (error: unknown): void => {
      done();
      // A disk that is full or broken is part of the game.
      if (!(error instanceof DiskError)) this.broken = error;
    };
    // What is in a snapshot is committed: it is not replaced any more.
    model.hardState = { ...model.hardState, commit: index as LogIndex };
    this.#note({ kind: 'hard-state', state: model.hardState });
    this.#append(storage, { entries: [], hardStates: [model.hardState] });
    const run =
      index === newest
        ? storage.confirm(group as GroupId)
        : this.#cut(storage, group, index, model);
    run.then(done, gaveUp);
  }

  async #cut(storage: Storage, group: number, index: number, model: ModelGroup): Promise<void> {
    const mark: SnapshotMark = {
      group: group as GroupId,
      index: index as LogIndex,
      term: (model.terms[index] ?? 0) as Term | 0,
    };
    const chain = present(model.chain[index], 'a sum');
    const writer = await storage.snapshots.begin(mark);
    await writer.add(new TextEncoder().encode(String(chain)));
    for (let count = this.#below(4); count > 0; count--) {
      await writer.add(new Uint8Array(this.#below(3000)).fill(index));
    }
    await storage.complete(writer, BigInt(chain));
    this.snapshotsTotal++;
  }

  /** What a start has found, as a digest; undefined where its parts contradict each other. */
  async found({ storage, recovered }: OpenedStorage): Promise<string> {
    const found = new Map<number, ModelGroup>();
    for (const group of groups) found.set(group, emptyGroup(group));
    for (const { hardState, base, entries, lastIndex } of recovered) {
      const { group } = hardState;
      const chunks: Uint8Array[] = [];
      const loaded = await storage.snapshots.load(group, (chunk) => chunks.push(chunk));
      const state = emptyGroup(group);
      state.hardState = hardState;
      state.base = base;
      if (loaded !== undefined) {
        const chain = Number(new TextDecoder().decode(present(chunks[0], 'a chunk')));
        if (BigInt(chain) !== loaded.stateHash) return 'a snapshot contradicts its hash';
        if (loaded.mark.index !== base) return 'the base is not the snapshot';
        state.chain[base] = chain;
        state.terms[base] = loaded.mark.term;
      } else if (base > 0) return 'a base without a snapshot';
      for (const entry of entries) {
        if (entry.index !== state.chain.length) return 'a gap';
        push(state, entry);
      }
      if (state.chain.length !== lastIndex + 1) return 'another last index';
      found.set(group, state);
    }
    this.#found = found;
    return digestOf(found);
  }

  /** Goes on from what a start has found. */
  adopt(): void {
    for (const [group, state] of this.#found) this.#groups.set(group, state);
    this.#records = [];
    this.#acknowledged = 0;
    this.#digests = [this.digest()];
    this.#snapshotting = false;
  }

  #entry(group: number): LogEntry {
    const model = present(this.#groups.get(group), 'a group of the model');
    const last = model.chain.length - 1;
    const free = last - Math.max(model.hardState.commit, model.base);
    const replaces = free > 0 && this.#below(20) === 0;
    const index = replaces ? last + 1 - (1 + this.#below(free)) : last + 1;
    const term = (model.terms[last] ?? 1) + (replaces ? 1 : 0);
    const size = this.#below(30) === 0 ? this.#below(9000) : this.#below(300);
    const payload = new Uint8Array(size);
    for (let at = 0; at < size; at += 7) payload[at] = this.#below(256);
    const entry: LogEntry = {
      group: group as GroupId,
      index: index as LogIndex,
      term: Math.max(1, term) as Term,
      kind: this.#below(10) === 0 ? 1 : 0,
      payload,
    };
    this.#note({ kind: 'entry', entry });
    return entry;
  }

  #hardState(): HardState {
    const group = present(groups[this.#below(groups.length)], 'a group');
    const { hardState } = present(this.#groups.get(group), 'a group of the model');
    const term = (hardState.term + this.#below(2)) as Term;
    const state = { ...hardState, term, vote: this.#below(5) };
    this.#note({ kind: 'hard-state', state });
    return state;
  }

  #note(record: ModelRecord): void {
    if (record.kind === 'entry') {
      push(present(this.#groups.get(record.entry.group), 'a group of the model'), record.entry);
    } else {
      present(this.#groups.get(record.state.group), 'a group of the model').hardState =
        record.state;
    }
    this.#records.push(record);
    this.#digests.push(this.digest());
  }

  #below(count: number): number {
    return this.#world.random.uint32() % count;
  }
}

function emptyGroup(group: number): ModelGroup {
  const hardState = { group: group as GroupId, term: 0, vote: 0, commit: 0 as LogIndex } as const;
  return { hardState, chain: [0], terms: [0], base: 0 };
}

function push(model: ModelGroup, entry: LogEntry): void {
  model.chain.length = entry.index;
  model.terms.length = entry.index;
  const before = present(model.chain[entry.index - 1], 'the sum before');
  model.chain.push(hostChecksum(entry.payload, before + entry.term));
  model.terms.push(entry.term);
}

function digestOf(groupsFound: ReadonlyMap<number, ModelGroup>): string {
  return [...groupsFound.values()]
    .map(({ hardState, chain, terms }) => {
      const { term, vote, commit } = hardState;
      return [term, vote, commit, chain.length - 1, chain.at(-1), terms.at(-1)].join(',');
    })
    .join(' ');
}
