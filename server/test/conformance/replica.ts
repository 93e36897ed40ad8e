import type { Random } from '../../src/base/doors.ts';
import type { Configuration } from '../../src/raft/configuration.ts';
import { emptyConfiguration } from '../../src/raft/configuration.ts';
import { MemoryStorage } from '../../src/raft/memory-storage.ts';
import {
  type Entry,
  EntryKind,
  type HardState,
  noBytes,
  type Snapshot,
} from '../../src/raft/message.ts';
import { type RaftOptions, raftDefaults } from '../../src/raft/options.ts';
import { RaftNode } from '../../src/raft/raft-node.ts';
import type { AppendWork, ApplyWork } from '../../src/raft/ready.ts';

/** What `add-nodes` says about its replicas. */
export interface ReplicaSettings {
  readonly configuration: Configuration;
  readonly index: number;
  readonly content: string;
  readonly options: Partial<RaftOptions>;
}

/** Milliseconds of an election timeout, where a case has leases. */
export const electionMs = 300;

/** Draws the shortest election timeout each time: cases tick by hand. */
const shortest: Random = { uint32: () => 0 };

/** The environment of the public cases: three ticks to an election, no bounds but those asked for. */
const caseOptions = {
  ...raftDefaults,
  electionTicks: 3,
  heartbeatTicks: 1,
  asynchronous: false,
  preVote: false,
  checkQuorum: false,
  forwardProposals: true,
  onRemoval: 'stay',
  messageBytesMax: Number.POSITIVE_INFINITY,
  applyingBytesMax: Number.POSITIVE_INFINITY,
  uncommittedBytesMax: Number.POSITIVE_INFINITY,
  inflightMessagesMax: 1_000_000,
  inflightBytesMax: Number.POSITIVE_INFINITY,
} as const;

/** Storage that gives the newest state of the state machine as its snapshot, as the cases expect. */
class CaseStorage extends MemoryStorage {
  readonly #states: Snapshot[];

  constructor(states: Snapshot[]) {
    super();
    this.#states = states;
  }

  override snapshot(): Snapshot | null {
    const last = this.#states.at(-1);
    return last === undefined || last.index === 0 ? null : last;
  }
}

/** A replica with its storage, its state machine, which appends, and its two queues of work. */
export class Replica {
  readonly id: number;
  readonly node: RaftNode;
  readonly storage: CaseStorage;
  readonly asynchronous: boolean;
  readonly electionTicks: number = caseOptions.electionTicks;
  readonly heartbeatTicks: number = caseOptions.heartbeatTicks;
  readonly appends: AppendWork[] = [];
  readonly applies: ApplyWork[] = [];
  /** The state machine after each entry. */
  readonly #states: Snapshot[] = [];

  constructor(id: number, settings: ReplicaSettings) {
    const { configuration, index, content, options } = settings;
    this.id = id;
    this.storage = new CaseStorage(this.#states);
    const start = {
      index,
      term: index === 0 ? 0 : 1,
      configuration: index === 0 ? emptyConfiguration : configuration,
      payload: new TextEncoder().encode(content),
    };
    this.#states.push(start);
    if (index > 0) this.storage.install(start);
    const { storage } = this;
    const all = { ...caseOptions, ...options, id, storage, random: shortest, applied: index };
    this.asynchronous = all.asynchronous;
    this.node = new RaftNode(all);
    // Replicas of a case have been up for a while: no promise of an earlier life is left.
    this.node.setClock(electionMs);
  }

  /** Makes a write durable. */
  write(hardState: HardState | null, entries: readonly Entry[], snapshot: Snapshot | null): void {
    if (hardState !== null) this.storage.setHardState(hardState);
    if (snapshot !== null) {
      this.storage.install(snapshot);
      this.#states.push(snapshot);
    }
    this.storage.append(entries);
  }

  /** Runs entries through the state machine. */
  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const last = this.#states.at(-1);
      const before = last?.payload ?? noBytes;
      let configuration = last?.configuration ?? emptyConfiguration;
      let update = entry.payload;
      if (entry.kind === EntryKind.change) {
        configuration = this.node.applyChange(entry);
        update = noBytes;
      }
      const payload = new Uint8Array([...before, ...update]);
      this.#states.push({ index: entry.index, term: entry.term, configuration, payload });
    }
  }

  /** Entries up to `index` go. */
  compact(index: number): void {
    const { configuration } = this.node.status();
    const term = this.storage.term(index);
    this.storage.compact({ index, term, configuration, payload: noBytes });
  }
}
