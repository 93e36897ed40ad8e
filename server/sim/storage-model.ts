/**
 * What a node's storage must come back with: after any crash, the state after some number of writes,
 * the same for all groups, that holds everything whose callback came. Naive on purpose: it keeps the
 * whole history of every group and knows nothing of frames, segments and marks.
 */
import { present } from '../src/base/assert.ts';
import type { GroupId, LogIndex, Term } from '../src/base/ids.ts';
import { hostChecksum } from '../src/host/checksum.ts';
import type { HardState, LogBatch, LogEntry, SnapshotMark } from '../src/storage/entry.ts';
import type { OpenedStorage } from '../src/storage/storage.ts';

/** The groups of the model. The first has no replicas, as on a node that is alone. */
export const modelGroups: readonly GroupId[] = [0, 1, 256] as GroupId[];

/** Bytes of a write that is found whole or not at all, in the smallest segments. */
const wholeBytesMax = 40_000;

/** One group: its log as checksums that chain, so that one number stands for all entries up to there. */
export interface ModelGroup {
  readonly group: GroupId;
  /** The newest replica, 0 for none. */
  replica: number;
  isRemoved: boolean;
  hardState: HardState;
  /** `chain[index]` covers the entries 1..index; `chain[0]` is 0. */
  chain: number[];
  terms: number[];
}

/** A snapshot from elsewhere: once its file is durable it is found, with its mark or without. */
interface Installation {
  readonly mark: SnapshotMark;
  readonly chain: number;
  readonly text: string;
  isDurable: boolean;
  /** The first state that has it anyway. */
  from: number;
}

/** See the top of the file. */
export class StorageModel {
  readonly #groups = new Map<GroupId, ModelGroup>();
  /** What stands after 0, 1, … writes since the last start: a text for each group. */
  #states: (readonly string[])[] = [];
  #acknowledged = 0;
  #installation: Installation | undefined;
  readonly #highest = new Map<GroupId, number>();
  /** What the last start found; the model goes on from it when asked. */
  #found: ReadonlyMap<GroupId, ModelGroup> = new Map();

  constructor() {
    for (const group of modelGroups) this.#groups.set(group, emptyGroup(group));
    this.#noteState();
  }

  of(group: GroupId): ModelGroup {
    return present(this.#groups.get(group), 'a group of the model');
  }

  lastIndex(group: GroupId): number {
    return this.of(group).chain.length - 1;
  }

  /** What groups came to by snapshots from elsewhere alone, without what was written with their marks. */
  readonly snapshotTexts: string[] = [];

  /** The highest index that anything of a group was ever noted at, replaced since or not. */
  highest(group: GroupId): number {
    return this.#highest.get(group) ?? 0;
  }

  /** Whether all that was noted is acknowledged. */
  get isSettled(): boolean {
    return this.#acknowledged === this.#states.length - 1;
  }

  /** What all groups come to now. */
  digest(): string {
    return present(this.#states.at(-1), 'a state').join(' ');
  }

  /** The digests that a start may find now, the oldest first. */
  allowed(): readonly string[] {
    return this.#digests(this.#acknowledged);
  }

  /** The digests after each write of this life. */
  digests(): readonly string[] {
    return this.#digests(0);
  }

  #digests(from: number): readonly string[] {
    const digests: string[] = [];
    const installation = this.#installation;
    for (const [position, texts] of this.#states.entries()) {
      if (position < from) continue;
      const lacksIt = installation !== undefined && position < installation.from;
      if (lacksIt) digests.push(withText(texts, installation).join(' '));
      if (!lacksIt || !installation.isDurable) digests.push(texts.join(' '));
    }
    return digests;
  }

  /** Notes a batch that is appended now; returns what `acknowledge` wants to hear of it. */
  note(batch: LogBatch): number {
    const installed = batch.marks?.length ?? 0;
    for (const { group, index } of [...batch.entries, ...(batch.marks ?? [])]) {
      this.#highest.set(group, Math.max(this.highest(group), index));
    }
    if (bytesOf(batch) <= wholeBytesMax) {
      this.#apply(batch);
      this.#noteState();
    } else for (const write of writesOf(batch)) this.#noteWrite(write);
    if (installed > 0 && this.#installation !== undefined) {
      this.#installation.from = this.#states.length - 1;
    }
    return this.#states.length - 1;
  }

  /** All up to what `note` returned is durable. */
  acknowledge(noted: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, noted);
  }

  /** A snapshot from elsewhere will be written; nothing else of the group is noted until its mark is. */
  installing(mark: SnapshotMark, chain: number): void {
    const state = clone(this.of(mark.group));
    install(state, mark, chain);
    const from = Number.POSITIVE_INFINITY;
    this.#installation = { mark, chain, text: textOf(state), isDurable: false, from };
    this.snapshotTexts.push(textOf(state));
  }

  /** Its file and name are durable. */
  installed(): void {
    present(this.#installation, 'a snapshot from elsewhere').isDurable = true;
  }

  /** Its mark is durable, or it was given up. */
  installationEnded(): void {
    this.#installation = undefined;
  }

  /** What a start has found, as a digest; what is wrong where its parts contradict each other. */
  async found(opened: OpenedStorage, files: readonly string[]): Promise<string> {
    const found = new Map(modelGroups.map((group) => [group, emptyGroup(group)]));
    for (const recovered of opened.recovered) {
      const state = await foundGroup(opened, recovered);
      if (typeof state === 'string') return state;
      const folder = `snapshots/${String(state.group).padStart(3, '0')}-`;
      if (state.isRemoved && files.some((name) => name.startsWith(folder)))
        return 'a snapshot of a removed replica';
      found.set(state.group, state);
    }
    this.#found = found;
    return [...found.values()].map(textOf).join(' ');
  }

  /** Goes on from what a start has found. */
  adopt(): void {
    for (const [group, state] of this.#found) this.#groups.set(group, state);
    this.#states = [];
    this.#noteState();
    this.#acknowledged = 0;
    this.#installation = undefined;
  }

  #noteState(): void {
    this.#states.push([...this.#groups.values()].map(textOf));
  }

  /** One group's part of a batch that is too large for a frame: what is too large itself comes in parts. */
  #noteWrite(write: LogBatch): void {
    const state = write.hardStates?.at(-1);
    if (bytesOf(write) > wholeBytesMax) {
      for (const [position, entry] of write.entries.slice(0, -1).entries()) {
        const later = write.entries.slice(position + 1).map(({ index }) => index - 1);
        const commit = Math.min(state?.commit ?? 0, ...later) as LogIndex;
        const part = { ...write, entries: [entry] };
        this.#apply(state === undefined ? part : { ...part, hardStates: [{ ...state, commit }] });
        this.#noteState();
      }
      this.#apply({ ...write, replicas: [], entries: write.entries.slice(-1) });
    } else this.#apply(write);
    this.#noteState();
  }

  #apply({ replicas, marks, entries, hardStates }: LogBatch): void {
    for (const { group, replica, state } of replicas ?? []) {
      const fresh = emptyGroup(group);
      if (this.of(group).replica === replica && state === 'living') continue;
      this.#groups.set(group, { ...fresh, replica, isRemoved: state === 'removed' });
    }
    for (const mark of marks ?? []) {
      const { chain } = present(this.#installation, 'a snapshot from elsewhere');
      install(this.of(mark.group), mark, chain);
    }
    for (const entry of entries) push(this.of(entry.group), entry);
    for (const state of hardStates ?? []) this.of(state.group).hardState = state;
  }
}

function withText(texts: readonly string[], { mark, text }: Installation): readonly string[] {
  return texts.map((each, position) => (modelGroups[position] === mark.group ? text : each));
}

async function foundGroup(
  { storage }: OpenedStorage,
  recovered: OpenedStorage['recovered'][number],
): Promise<ModelGroup | string> {
  const { hardState, base, entries, lastIndex, replica } = recovered;
  const { group } = hardState;
  const state = emptyGroup(group);
  state.hardState = hardState;
  state.replica = replica?.replica ?? 0;
  state.isRemoved = replica?.state === 'removed';
  const chunks: Uint8Array[] = [];
  const loaded = await storage.snapshots.load(group, (chunk) => chunks.push(chunk.slice()));
  if (loaded !== undefined) {
    const chain = Number(new TextDecoder().decode(present(chunks[0], 'a chunk')));
    if (BigInt(chain) !== loaded.stateHash) return 'a snapshot contradicts its hash';
    if (loaded.mark.index !== base) return 'the base is not the snapshot';
    if (loaded.replica !== state.replica) return 'a snapshot of another replica';
    if (new TextDecoder().decode(loaded.context) !== `${group} at ${base}`)
      return 'a snapshot of another context';
    state.chain[base] = chain;
    state.terms[base] = loaded.mark.term;
  } else if (base > 0) return 'a base without a snapshot';
  for (const entry of entries) {
    if (entry.index !== state.chain.length) return 'a gap';
    push(state, entry);
  }
  if (state.chain.length !== lastIndex + 1) return 'another last index';
  if (hardState.commit < base || hardState.commit > lastIndex)
    return 'a commit index out of bounds';
  if ((state.terms.at(-1) ?? 0) > hardState.term) return 'a term above that of the hard state';
  return state;
}

function emptyGroup(group: GroupId): ModelGroup {
  const hardState = { group, term: 0, vote: 0, commit: 0 as LogIndex } as const;
  return { group, replica: 0, isRemoved: false, hardState, chain: [0], terms: [0] };
}

function clone(state: ModelGroup): ModelGroup {
  return { ...state, chain: [...state.chain], terms: [...state.terms] };
}

function push(model: ModelGroup, { index, term, kind, payload }: LogEntry): void {
  model.chain.length = index;
  model.terms.length = index;
  const before = present(model.chain[index - 1], 'the sum before');
  model.chain.push(hostChecksum(payload, (before + 2 * term + kind) >>> 0));
  model.terms.push(term);
}

/** The state is what the snapshot has; the log after it stays where it has the same entry there. */
function install(model: ModelGroup, { index, term }: SnapshotMark, chain: number): void {
  if (model.terms[index] !== term) {
    model.chain.length = index;
    model.terms.length = index;
    model.chain.push(chain);
    model.terms.push(term);
  }
  const { hardState } = model;
  const commit = Math.max(hardState.commit, index) as LogIndex;
  model.hardState = { ...hardState, commit };
  if (term > hardState.term) model.hardState = { ...model.hardState, term, vote: 0 };
}

function textOf({ replica, isRemoved, hardState, chain, terms }: ModelGroup): string {
  const { term, vote, commit } = hardState;
  const log = [term, vote, commit, chain.length - 1, chain.at(-1), terms.at(-1)];
  return `${replica}${isRemoved ? 'x' : ''}:${log.join(',')}`;
}

function bytesOf({ entries, hardStates, replicas, marks }: LogBatch): number {
  const states = (hardStates?.length ?? 0) + (replicas?.length ?? 0) + (marks?.length ?? 0);
  return entries.reduce((bytes, { payload }) => bytes + 24 + payload.length, states * 24);
}

/** A batch, group by group, in order of their first records. */
function writesOf({ replicas = [], entries, hardStates = [], marks = [] }: LogBatch): LogBatch[] {
  const groups = new Set([...replicas, ...entries, ...hardStates, ...marks].map((r) => r.group));
  return [...groups].map((group) => {
    const own = <R extends { readonly group: GroupId }>(records: readonly R[]): R[] =>
      records.filter((record) => record.group === group);
    return {
      replicas: own(replicas),
      entries: own(entries),
      hardStates: own(hardStates),
      marks: own(marks),
    };
  });
}

/** A term as the log wants it. */
export function termOf(number: number): Term {
  return Math.max(1, number) as Term;
}
