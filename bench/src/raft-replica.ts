import {
  type AppendWork,
  configurationOf,
  type GroupId,
  MemoryStorage,
  type Message,
  noBytes,
  Prng,
  RaftNode,
  raftDefaults,
} from 'tuplet/internal';

/** Replicas of each group, which are on the nodes of the same numbers. */
export const replicaIds: readonly number[] = [1, 2, 3];

/** Entries after which a replica compacts its log, so that memory stays what it is. */
const compactEntries = 4_096;

/** One replica of a Raft group: the real core, and a log that is an array. */
export class BenchReplica {
  readonly group: GroupId;
  readonly node: RaftNode;
  /** Whether its node has it on the list for the next turn. */
  queued = false;
  readonly #storage: MemoryStorage = new MemoryStorage();
  #inbox: Message[] = [];
  #writes: AppendWork[] = [];
  #appliedIndex = 1;

  constructor(group: GroupId, id: number) {
    this.group = group;
    const configuration = configurationOf(replicaIds);
    this.#storage.install({ index: 1, term: 1, configuration, payload: noBytes });
    this.#storage.setHardState({ term: 1, vote: 0, commit: 1 });
    this.node = new RaftNode({
      ...raftDefaults,
      id,
      storage: this.#storage,
      random: new Prng(group * replicaIds.length + id),
      applied: 1,
    });
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** A message has arrived; the next turn takes it. */
  receive(message: Message): void {
    this.#inbox.push(message);
  }

  /**
   * One turn, as a host's: what came in, what has become durable, then the Ready, whose write has ended
   * by the next turn. Returns what is to be sent.
   */
  turn(): readonly Message[] {
    const inbox = this.#inbox;
    const writes = this.#writes;
    const { node } = this;
    if (inbox.length > 0) {
      this.#inbox = [];
      for (const message of inbox) node.step(message);
    }
    if (writes.length > 0) {
      this.#writes = [];
      for (const work of writes) this.#written(work);
    }
    if (!node.hasReady()) return [];
    const { messages, append, apply } = node.ready();
    if (append !== null) this.#writes.push(append);
    if (apply !== null) {
      this.#appliedIndex += apply.entries.length;
      node.applied(apply);
    }
    return messages;
  }

  /** Whether a write is under way. */
  get writes(): boolean {
    return this.#writes.length > 0;
  }

  #written(work: AppendWork): void {
    const storage = this.#storage;
    if (work.hardState !== null) storage.setHardState(work.hardState);
    storage.append(work.entries);
    this.node.appended(work);
    const index = this.#appliedIndex;
    if (index - storage.firstIndex() < compactEntries) return;
    const configuration = configurationOf(replicaIds);
    storage.compact({ index, term: storage.term(index), configuration, payload: noBytes });
  }
}
