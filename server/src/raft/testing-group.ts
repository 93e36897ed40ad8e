/** A group of replicas in one process, for tests: a bag of messages, disks that can be held up, crashes. */
import { assert, present } from '../base/assert.ts';
import type { Random } from '../base/doors.ts';
import { Prng } from '../base/prng.ts';
import { type Configuration, configurationOf, emptyConfiguration } from './configuration.ts';
import { MemoryStorage } from './memory-storage.ts';
import { type Entry, EntryKind, Message, MessageKind, noBytes, type Snapshot } from './message.ts';
import { type RaftOptions, raftDefaults } from './options.ts';
import { RaftNode } from './raft-node.ts';
import type { ReadState } from './read-index.ts';
import type { AppendWork, ApplyWork } from './ready.ts';
import { Role } from './state.ts';

/** What a test chooses; the rest is `raftDefaults`. */
export type TestOptions = Partial<Omit<RaftOptions, 'id' | 'storage'>>;

/** A payload that names itself. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The answer of a voter to what a candidate has asked it last, among the messages it sent. */
export function voteAnswer(
  candidate: TestReplica,
  from: number,
  granted: boolean,
  sent: readonly Message[] = candidate.sent,
): Message {
  const { id } = candidate;
  const kinds: readonly number[] = [MessageKind.vote, MessageKind.preVote];
  const request = sent.findLast(({ kind, to }) => to === from && kinds.includes(kind));
  assert(request !== undefined, 'a vote was asked for');
  const answer =
    request.kind === MessageKind.vote ? MessageKind.voteAnswer : MessageKind.preVoteAnswer;
  const message = new Message(answer, from, id, request.term);
  message.context = request.context;
  message.reject = !granted;
  return message;
}

/** One replica with its disk and its state machine, which remembers what it applied. */
export class TestReplica {
  readonly id: number;
  readonly #options: TestOptions;
  readonly #random: Random;
  storage: MemoryStorage = new MemoryStorage();
  node: RaftNode;
  /** Writes and applications that were handed out and have not ended. */
  appends: AppendWork[] = [];
  applies: ApplyWork[] = [];
  /** Payloads of normal entries that were applied, empty ones left out, by index. */
  readonly applied: Map<number, string> = new Map();
  appliedIndex = 0;
  configuration: Configuration;
  reads: ReadState[] = [];
  /** What its clock says, where it has leases. */
  #clockMs = 0;
  /** Messages that Readys gave, in order, since somebody took them. */
  sent: Message[] = [];

  constructor(id: number, start: Snapshot, random: Random, options: TestOptions) {
    this.id = id;
    this.#options = options;
    this.#random = random;
    this.configuration = start.configuration;
    if (start.index > 0) {
      this.storage.install(start);
      this.storage.setHardState({ term: start.term, vote: 0, commit: start.index });
    }
    this.appliedIndex = start.index;
    this.node = this.#start();
  }

  get lead(): number {
    return this.node.lead;
  }

  /** The terms of the durable and not yet durable log, from `firstIndex` on. */
  terms(): number[] {
    const { storage } = this;
    const last = storage.lastIndex();
    const first = storage.firstIndex();
    return last < first
      ? []
      : storage.entries(first, last + 1, Number.POSITIVE_INFINITY).map(({ term }) => term);
  }

  /** Takes a Ready apart; writes and applications wait. Whether there was one. */
  takeReady(): boolean {
    if (!this.node.hasReady()) return false;
    const ready = this.node.ready();
    this.sent.push(...ready.messages);
    this.reads.push(...ready.reads);
    if (ready.append !== null) this.appends.push(ready.append);
    if (ready.apply !== null) this.applies.push(ready.apply);
    return true;
  }

  /** The oldest write becomes durable. */
  finishAppend(): boolean {
    const work = this.appends.shift();
    if (work === undefined) return false;
    if (work.hardState !== null) this.storage.setHardState(work.hardState);
    if (work.snapshot !== null) {
      this.storage.install(work.snapshot);
      this.appliedIndex = work.snapshot.index;
      this.configuration = work.snapshot.configuration;
    }
    this.storage.append(work.entries);
    this.node.appended(work);
    return true;
  }

  /** The oldest application ends. */
  finishApply(): boolean {
    const work = this.applies.shift();
    if (work === undefined) return false;
    for (const entry of work.entries) this.#apply(entry);
    this.node.applied(work);
    return true;
  }

  /** Does everything that is to be done, until nothing is. */
  run(): void {
    while (this.takeReady() || this.finishAppend() || this.finishApply());
  }

  /** Stops, losing what was not durable, and starts again. */
  restart(): void {
    this.appends = [];
    this.applies = [];
    this.sent = [];
    this.reads = [];
    this.node = this.#start();
  }

  /** A snapshot of the state machine becomes durable, and the log up to it goes. */
  compact(): void {
    const index = this.appliedIndex;
    const term = this.storage.term(index);
    this.storage.compact({ index, term, configuration: this.configuration, payload: noBytes });
  }

  setClock(nowMs: number): void {
    this.#clockMs = nowMs;
    this.node.setClock(nowMs);
  }

  tick(count = 1): void {
    for (let at = 0; at < count; at += 1) this.node.tick();
  }

  #apply(entry: Entry): void {
    // After a restart the state machine may be ahead of what the log remembers as committed.
    if (entry.index <= this.appliedIndex) return;
    assert(entry.index === this.appliedIndex + 1, 'entries are applied in order');
    this.appliedIndex = entry.index;
    if (entry.kind === EntryKind.change) this.configuration = this.node.applyChange(entry);
    else if (entry.payload.length > 0) {
      this.applied.set(entry.index, new TextDecoder().decode(entry.payload));
    }
  }

  /**
   * The state machine is rebuilt from the snapshot and the log, as a real one is: it forgets what it
   * applied after the last snapshot.
   */
  #start(): RaftNode {
    const { storage } = this;
    this.configuration = storage.initialState().configuration;
    this.appliedIndex = storage.firstIndex() - 1;
    for (const index of this.applied.keys()) {
      if (index > this.appliedIndex) this.applied.delete(index);
    }
    const { lease = null } = this.#options;
    return new RaftNode({
      ...raftDefaults,
      random: this.#random,
      applied: this.appliedIndex,
      ...this.#options,
      lease: lease === null ? null : { ...lease, nowMs: this.#clockMs },
      id: this.id,
      storage,
    });
  }
}

/** The group: replicas 1 to `count`, all voters, at index 1 of term 1 with nothing applied before. */
export class TestGroup {
  readonly replicas: TestReplica[] = [];
  /** On their way, oldest first. */
  bag: Message[] = [];
  /** Who neither sends nor receives. */
  readonly cut: Set<number> = new Set();
  readonly #options: TestOptions;
  readonly #prng: Prng;

  constructor(count: number, options: TestOptions = {}, seed = 1) {
    this.#options = options;
    this.#prng = new Prng(seed);
    const ids = Array.from({ length: count }, (_, at) => at + 1);
    const start = { index: 1, term: 1, configuration: configurationOf(ids), payload: noBytes };
    for (const id of ids) this.#add(id, start);
  }

  /** A replica that knows nothing and belongs to nothing yet. */
  join(id: number): TestReplica {
    return this.#add(id, {
      index: 0,
      term: 0,
      configuration: emptyConfiguration,
      payload: noBytes,
    });
  }

  replica(id: number): TestReplica {
    return present(
      this.replicas.find((replica) => replica.id === id),
      'a replica of the group',
    );
  }

  /** Elects a replica, and settles. */
  elect(id: number): TestReplica {
    const replica = this.replica(id);
    replica.node.campaign();
    this.settle();
    assert(replica.node.role === Role.leader, 'the replica is elected');
    return replica;
  }

  /** All leaders of the highest term. */
  leaders(): TestReplica[] {
    const term = Math.max(...this.replicas.map(({ node }) => node.term));
    return this.replicas.filter(({ node }) => node.role === Role.leader && node.term === term);
  }

  /** Collects what replicas have sent; what those sent who are cut off is lost. */
  collect(): void {
    for (const replica of this.replicas) {
      const { sent } = replica;
      replica.sent = [];
      if (!this.cut.has(replica.id)) this.bag.push(...sent);
    }
  }

  /** Delivers the oldest message. Whether there was one. */
  deliver(): boolean {
    const message = this.bag.shift();
    if (message === undefined) return false;
    this.hand(message);
    return true;
  }

  /** A message arrives, unless its receiver is cut off. */
  hand(message: Message): void {
    if (this.cut.has(message.to)) return;
    this.replicas.find(({ id }) => id === message.to)?.node.step(message);
  }

  /** Everything is done and delivered, until nothing moves. */
  settle(): void {
    for (let round = 0; round < 10_000; round += 1) {
      let moved = false;
      for (const replica of this.replicas) {
        if (replica.takeReady()) moved = true;
        while (replica.finishAppend()) moved = true;
        while (replica.finishApply()) moved = true;
        replica.node.verify();
      }
      this.collect();
      while (this.deliver()) moved = true;
      if (!moved) return;
    }
    assert(false, 'a group settles');
  }

  /** Ticks everybody, settling after each tick. */
  tick(count: number): void {
    for (let at = 0; at < count; at += 1) {
      for (const replica of this.replicas) replica.tick();
      this.settle();
    }
  }

  /** Proposes a text at a replica. */
  propose(id: number, text: string): string {
    return this.replica(id).node.propose([bytesOf(text)]).kind;
  }

  /** What a replica has applied, in order. */
  texts(id: number): string[] {
    return [...this.replica(id).applied.values()];
  }

  #add(id: number, start: Snapshot): TestReplica {
    const random = this.#prng.fork(`replica ${id}`);
    const replica = new TestReplica(id, start, random, this.#options);
    this.replicas.push(replica);
    return replica;
  }
}
