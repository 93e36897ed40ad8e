/** One replica through its lives: node, disk, clock, and a state machine that is a hash of what it applied. */
import { assert, present } from '../../src/base/assert.ts';
import type { Prng } from '../../src/base/prng.ts';
import { type Configuration, emptyConfiguration } from '../../src/raft/configuration.ts';
import { type Entry, EntryKind, type Message, type Snapshot } from '../../src/raft/message.ts';
import { RaftNode } from '../../src/raft/raft-node.ts';
import type { AppendWork, ApplyWork, Ready } from '../../src/raft/ready.ts';
import { Role } from '../../src/raft/state.ts';
import { type Scheduler, SimProcess } from '../scheduler.ts';
import { type CrashOutcome, RaftDisk } from './disk.ts';
import type { Claim, Suspect } from './ledger.ts';
import { electionMs, type RaftSettings, tickMs } from './settings.ts';
import { ShadowLog } from './shadow-log.ts';

/** Who is told of everything that a replica does. */
export interface Host {
  /** Before its messages go. */
  wrote(replica: RaftReplica, ready: Ready): void;
  send(replica: RaftReplica, message: Message): void;
  read(replica: RaftReplica, token: number, index: number): void;
  /** A write is durable; the node hears of it next. */
  durable(replica: RaftReplica, work: AppendWork): void;
  applied(replica: RaftReplica, entry: Entry): void;
  /** A configuration is in force here, by an entry or by a snapshot. */
  configured(replica: RaftReplica, index: number): void;
  /** The end of every event here. */
  done(replica: RaftReplica): void;
}

/** What replicas share. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly settings: RaftSettings;
  readonly random: Prng;
  readonly host: Host;
}

/** See the top of the file. */
export class RaftReplica implements Suspect {
  readonly id: number;
  readonly #around: Surroundings;
  readonly #random: Prng;
  readonly log: ShadowLog = new ShadowLog();
  readonly disk: RaftDisk = new RaftDisk();
  readonly #rate: number;
  #process: SimProcess;
  #node: RaftNode;
  life = 0;
  configuration: Configuration = emptyConfiguration;
  appliedIndex = 0;
  state = 0;
  #applies: ApplyWork[] = [];
  #applying = false;
  #cutting = false;
  /** Syncs take so much longer until then. */
  slowUntilMs = 0;
  /** Each sync takes so long; 0: what the seed draws. */
  stallMs = 0;
  /** Reads that wait for their index. */
  readonly reads: Set<number> = new Set();
  #destroyed = false;

  constructor(id: number, start: Snapshot, around: Surroundings) {
    this.id = id;
    this.#around = around;
    this.#random = around.random.fork(`replica ${id}`);
    const { driftPpm } = around.settings;
    this.#rate = 1 + (driftPpm === 0 ? 0 : this.#random.between(-driftPpm, driftPpm)) / 1_000_000;
    this.disk.format(start);
    this.#process = this.#makeProcess();
    this.#node = this.#boot();
  }

  get storage(): RaftDisk['storage'] {
    return this.disk.storage;
  }

  get node(): RaftNode {
    return this.#node;
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  get destroyed(): boolean {
    return this.#destroyed;
  }

  get isPaused(): boolean {
    return this.#process.pausedUntilUs > this.#around.scheduler.nowUs;
  }

  get isLeading(): boolean {
    return this.alive && this.#node.role === Role.leader;
  }

  /** The configuration is the state machine's: what the node takes to be in force is judged by it. */
  claim(): Claim {
    const { term, role, committed, applied } = this.#node.status();
    return { term, role, committed, applied, configuration: this.configuration };
  }

  /** Up to where a start would apply the log without hearing of anybody. */
  get durablyCommitted(): number {
    return Math.max(this.disk.hardState.commit, this.storage.firstIndex() - 1);
  }

  /** Whether anything was handed to the disk that no sync has confirmed. */
  get isWriting(): boolean {
    return !this.disk.isIdle;
  }

  /** Something happens here, now or when the pause ends; never if it dies before. */
  soon(event: (node: RaftNode) => void): void {
    this.#process.after(0, () => this.#turn(event));
  }

  /** Something happens here now: the caller has made sure that it runs. */
  now(event: (node: RaftNode) => void): void {
    assert(this.alive && !this.isPaused, 'only what runs does anything');
    this.#turn(event);
  }

  pause(forMs: number): void {
    this.#process.pause(forMs);
  }

  /** Stops without warning; `start` begins the next life. */
  crash(): CrashOutcome {
    this.#process.kill();
    this.reads.clear();
    return this.disk.crash(this.#random);
  }

  start(): void {
    assert(!this.alive, 'only what is down starts');
    if (this.#destroyed) return;
    this.#process = this.#makeProcess();
    this.#node = this.#boot();
    this.#turn(() => undefined);
  }

  /** Its files are gone, and its id with it. */
  destroy(): void {
    this.#process.kill();
    this.#destroyed = true;
  }

  /** The state machine is written out; when that is durable, the log up to it goes. */
  cutSnapshot(done: () => void): void {
    const index = this.appliedIndex;
    if (this.#cutting || index < this.storage.firstIndex()) return;
    this.#cutting = true;
    const term = this.storage.term(index);
    const payload = encodeState(this.state);
    const snapshot = { index, term, configuration: this.configuration, payload };
    this.#process.after(this.#syncUs() * 3, () => {
      this.#cutting = false;
      if (index < this.storage.firstIndex()) return;
      this.storage.compact(snapshot);
      done();
      this.#turn(() => undefined);
    });
  }

  #makeProcess(): SimProcess {
    const skew = { driftPpm: 0, wallOriginMs: 0 };
    return new SimProcess(this.#around.scheduler, `replica ${this.id}`, skew);
  }

  #clockMs(): number {
    return this.#around.scheduler.nowMs * this.#rate;
  }

  #boot(): RaftNode {
    const { settings } = this.#around;
    this.life += 1;
    const { storage } = this;
    const snapshot = storage.snapshot();
    this.#applies = [];
    this.#applying = false;
    this.#cutting = false;
    this.configuration = storage.initialState().configuration;
    this.appliedIndex = snapshot === null ? 0 : snapshot.index;
    this.state = snapshot === null ? 0 : decodeState(snapshot.payload);
    this.log.load(storage);
    const { marginShare } = settings;
    const node = new RaftNode({
      ...settings.options,
      lease: settings.leases ? { electionMs, marginShare, nowMs: this.#clockMs() } : null,
      id: this.id,
      storage,
      random: this.#random,
      applied: this.appliedIndex,
    });
    this.#process.after(this.#random.below(tickMs * 1_000), () => this.#tick());
    return node;
  }

  #tick(): void {
    this.#process.after((tickMs * 1_000) / this.#rate, () => this.#tick());
    this.#turn((node) => node.tick());
  }

  #turn(event: (node: RaftNode) => void): void {
    const node = this.#node;
    node.setClock(this.#clockMs());
    event(node);
    while (node.hasReady()) this.#carryOut(node.ready());
    this.#around.host.done(this);
  }

  #carryOut(ready: Ready): void {
    const { host } = this.#around;
    const { append, apply, snapshot } = ready;
    if (snapshot !== null) this.log.restore(snapshot.index, snapshot.term);
    host.wrote(this, ready);
    for (const message of ready.messages) host.send(this, message);
    for (const { token, index } of ready.reads) host.read(this, token, index);
    if (append !== null) this.disk.write(append);
    if (apply !== null) this.#applies.push(apply);
    this.#sync();
    this.#applyNext();
  }

  #syncUs(): number {
    const { scheduler, settings } = this.#around;
    if (this.stallMs > 0) return this.stallMs * 1_000;
    const slow = scheduler.nowMs < this.slowUntilMs ? 20 : 1;
    return 100 + this.#random.below(settings.syncMs * 1_000 * slow);
  }

  #sync(): void {
    if (!this.disk.beginSync()) return;
    this.#process.after(this.#syncUs(), () => {
      this.#turn((node) => {
        this.disk.endSync((work) => {
          this.#around.host.durable(this, work);
          this.#install(work.snapshot);
          node.appended(work);
        });
      });
      this.#sync();
    });
  }

  #install(snapshot: Snapshot | null): void {
    if (snapshot === null) return;
    this.appliedIndex = snapshot.index;
    this.state = decodeState(snapshot.payload);
    this.configuration = snapshot.configuration;
    this.#around.host.configured(this, snapshot.index);
  }

  #applyNext(): void {
    if (this.#applying || this.#applies.length === 0) return;
    this.#applying = true;
    const { settings } = this.#around;
    this.#process.after(50 + this.#random.below(settings.applyMs * 1_000), () => {
      this.#applying = false;
      const work = present(this.#applies.shift(), 'what is applied was handed out');
      this.#turn((node) => {
        for (const entry of work.entries) this.#apply(node, entry);
        node.applied(work);
      });
      this.#applyNext();
    });
  }

  #apply(node: RaftNode, entry: Entry): void {
    // A snapshot may have led past it meanwhile.
    if (entry.index <= this.appliedIndex) return;
    assert(entry.index === this.appliedIndex + 1, 'entries are applied in order');
    this.appliedIndex = entry.index;
    this.state = stateAfter(this.state, entry);
    this.#around.host.applied(this, entry);
    if (entry.kind !== EntryKind.change) return;
    this.configuration = node.applyChange(entry);
    this.#around.host.configured(this, entry.index);
  }
}

/** FNV-1a over what an entry is. */
function stateAfter(state: number, entry: Entry): number {
  let hash = Math.imul(state ^ entry.index, 0x01000193);
  hash = Math.imul(hash ^ entry.term, 0x01000193);
  hash = Math.imul(hash ^ entry.kind, 0x01000193);
  for (const byte of entry.payload) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function encodeState(state: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, state);
  return bytes;
}

function decodeState(bytes: Uint8Array): number {
  return bytes.length === 0 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}
