/** The replicas of a run, what the checkers are told of them, and the rare paths they are seen on. */
import { present } from '../../src/base/assert.ts';
import type { Prng } from '../../src/base/prng.ts';
import {
  type Configuration,
  configurationOf,
  emptyConfiguration,
  isJoint,
  isMember,
  isVoter,
} from '../../src/raft/configuration.ts';
import {
  type Entry,
  type Message,
  MessageKind,
  noBytes,
  noReplica,
} from '../../src/raft/message.ts';
import type { AppendWork, Ready } from '../../src/raft/ready.ts';
import { Role } from '../../src/raft/state.ts';
import type { Violation } from '../check/history.ts';
import { bump, type Counts } from '../coverage.ts';
import type { Scheduler } from '../scheduler.ts';
import type { Trace } from '../trace.ts';
import { Commitment } from './commitment.ts';
import { Conduct, majoritiesOverlap } from './conduct.ts';
import type { RaftPath } from './coverage.ts';
import { type Claim, Ledger, type RaftChecker } from './ledger.ts';
import { type Inbox, RaftNetwork } from './network.ts';
import { Promises } from './promises.ts';
import { type Host, RaftReplica, type Surroundings } from './replica.ts';
import type { RaftSettings } from './settings.ts';

/** How long after an election those are read from who led before, and may not know that it is over. */
const staleReadsMs = [0, 100, 300, 700];

/** See the top of the file. */
export class RaftGroup implements Host, Inbox {
  readonly settings: RaftSettings;
  readonly counts: Counts = new Map();
  readonly violations: Violation[] = [];
  readonly network: RaftNetwork;
  readonly replicas: RaftReplica[] = [];
  readonly ledger: Ledger;
  readonly commitment: Commitment;
  readonly promises: Promises;
  readonly conduct: Conduct;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #around: Surroundings;
  /** The newest configuration that anybody has applied, and the index of its change. */
  configuration: Configuration;
  configurationIndex: number;
  /** At what index ids left the group; they never come back. */
  readonly removedAt: Map<number, number> = new Map();
  #nextId: number;
  #nextRead = 1;
  /** The read asked in this very turn by a leader; 0: none. */
  #asking = 0;
  operations = 0;
  /** Told of each election. */
  elected: (leader: RaftReplica) => void = () => undefined;

  constructor(settings: RaftSettings, scheduler: Scheduler, random: Prng, trace: Trace) {
    this.settings = settings;
    this.#scheduler = scheduler;
    this.#trace = trace;
    const { voters, learners, startIndex } = settings;
    const ids = Array.from({ length: voters + learners }, (_, at) => at + 1);
    const configuration = configurationOf(ids.slice(0, voters), ids.slice(voters));
    const start = { index: startIndex, term: 1, configuration, payload: noBytes };
    const accuse = (checker: RaftChecker, message: string): void => this.accuse(checker, message);
    this.ledger = new Ledger(accuse);
    this.commitment = new Commitment(accuse, start);
    this.promises = new Promises(accuse);
    this.conduct = new Conduct(accuse, settings.options);
    this.network = new RaftNetwork(scheduler, random.fork('network'), settings, this);
    this.#around = { scheduler, settings, random, host: this };
    this.configuration = configuration;
    this.configurationIndex = startIndex;
    this.#nextId = ids.length + 1;
    for (const id of ids) this.#enlist(new RaftReplica(id, start, this.#around));
    if (settings.driftPpm > 0) this.count('clocks that drift');
  }

  accuse(checker: string, message: string): void {
    this.violations.push({
      checker,
      message: `${message} at ${this.#scheduler.nowMs} ms`,
      operations: [],
    });
  }

  count(name: RaftPath): void {
    bump(this.counts, name);
  }

  find(id: number): RaftReplica | undefined {
    return this.replicas.find((replica) => replica.id === id);
  }

  /** Those that lead, the one of the latest term first. */
  leaders(): RaftReplica[] {
    return this.replicas
      .filter((replica) => replica.isLeading)
      .sort((left, right) => right.node.term - left.node.term);
  }

  /** A replica that knows nothing and belongs to nothing yet, under an id that nobody had. */
  join(): RaftReplica {
    const start = { index: 0, term: 0, configuration: emptyConfiguration, payload: noBytes };
    const replica = new RaftReplica(this.#nextId, start, this.#around);
    this.#nextId += 1;
    this.#enlist(replica);
    return replica;
  }

  destroy(replica: RaftReplica): void {
    this.count('a removed replica was destroyed');
    replica.destroy();
    this.promises.ended(replica.id);
    this.replicas.splice(this.replicas.indexOf(replica), 1);
  }

  /** A read begins at a replica. */
  askRead(replica: RaftReplica): void {
    const token = this.#nextRead;
    this.#nextRead += 1;
    this.operations += 1;
    if (this.network.isCut) this.count('a read while the group was split');
    replica.now((node) => {
      this.promises.asked(token, this.commitment.last);
      replica.reads.add(token);
      const leads = node.role === Role.leader;
      // Only what this turn answers needed nobody: rounds take time.
      this.#asking = leads && this.settings.leases ? token : 0;
      if (node.readIndex(token) !== 'pending') this.#forget(replica, token);
      else if (!leads) this.count('a read passed on');
    });
    this.#asking = 0;
  }

  crash(replica: RaftReplica): void {
    this.count('crash');
    if (replica.isLeading) this.count('crash while leading');
    if (replica.isWriting) this.count('crash during a write');
    if (isJoint(replica.configuration)) this.count('a crash during a joint change');
    for (const token of replica.reads) this.promises.forgotten(token);
    const { survived, torn } = replica.crash();
    if (torn) this.count('crash with a torn write');
    if (survived > 0) this.count('a write survived unconfirmed');
    this.promises.kept(replica.id, replica.disk.hardState);
    this.#trace.note(`crash ${replica.id}`);
  }

  start(replica: RaftReplica): void {
    if (replica.storage.firstIndex() > this.settings.startIndex + 1) {
      this.count('a start from a snapshot');
    }
    replica.start();
  }

  // The host of its replicas.

  wrote(replica: RaftReplica, { entries, append }: Ready): void {
    // What this very turn commits is not what it had committed.
    const committed = this.ledger.lastClaim(replica)?.committed ?? 0;
    if (append !== null) this.conduct.answered(replica, committed, append.responses);
    if (entries.length === 0) return;
    const claim = replica.claim();
    const replaced = this.ledger.wrote(replica, claim, entries);
    // Whoever leads is told by nobody what to write.
    if (claim.role === Role.leader) {
      const handsOver = replica.node.status().transferTarget !== noReplica;
      this.conduct.added(replica, claim, handsOver, entries);
    }
    if (replaced.length > 0) this.count('a log was cut back');
    this.commitment.replaced(replica, committed, replaced);
  }

  send(replica: RaftReplica, message: Message): void {
    this.promises.sent(replica, replica.disk.hardState, message);
    this.conduct.sent(replica, message);
    if (message.reject && message.kind === MessageKind.voteAnswer) {
      this.count('a vote refused for a shorter log');
    }
    if (message.reject && message.kind === MessageKind.preVoteAnswer) {
      this.count('a pre-vote refused');
    }
    this.network.send(message);
  }

  read(replica: RaftReplica, token: number, index: number): void {
    replica.reads.delete(token);
    this.promises.answered(replica.id, token, index);
    const { voters, outgoing } = replica.configuration;
    if (token !== this.#asking || (voters.length === 1 && outgoing.length === 0)) return;
    this.count('a read without a round by a lease');
    this.promises.held(replica.id, replica.node.term, this.ledger.maxLedTerm);
  }

  durable(replica: RaftReplica, { hardState, mark, snapshot }: AppendWork): void {
    if (hardState !== null) this.promises.kept(replica.id, hardState);
    if (mark !== null && mark.term !== replica.node.term) {
      this.count('a void mark of an earlier term');
    }
    if (snapshot === null) return;
    this.count('a snapshot installed');
    if (isJoint(snapshot.configuration) || isJoint(replica.configuration)) {
      this.count('a snapshot installed during a joint change');
    }
  }

  applied({ id, state, storage }: RaftReplica, { index, term }: Entry): void {
    this.commitment.applied(id, index, state);
    if (index < storage.firstIndex() || storage.term(index) === term) return;
    this.accuse('state machine safety', `${id} applies ${index}, which its disk does not have`);
  }

  configured(replica: RaftReplica, index: number): void {
    this.#judge(replica);
    if (index <= this.configurationIndex) return;
    const before = this.configuration;
    this.configuration = replica.configuration;
    this.configurationIndex = index;
    this.#changed(before, this.configuration);
  }

  done(replica: RaftReplica): void {
    replica.node.verify();
    this.#judge(replica);
  }

  // The inbox of the network.

  deliver(message: Message): boolean {
    const replica = this.find(message.to);
    if (replica === undefined || !replica.alive) return false;
    if (replica.isPaused) {
      replica.soon(() => this.#step(replica, message));
      return true;
    }
    replica.now(() => this.#step(replica, message));
    return true;
  }

  snapshotFate(from: number, to: number, arrived: boolean): void {
    const replica = this.find(from);
    if (replica?.alive === true) replica.soon((node) => node.reportSnapshot(to, arrived));
  }

  #step(replica: RaftReplica, message: Message): void {
    const { node } = replica;
    const { kind, term } = message;
    this.conduct.heard(replica, message);
    // Checks of the quorum keep to a leader; where none is known, only a promise does.
    const asks = kind === MessageKind.vote || kind === MessageKind.preVote;
    const may = asks && !message.forced && term > node.term && node.lead === 0;
    const outcome = node.step(message);
    if (outcome === 'unknown-replica') this.count('an answer of somebody unknown');
    if (may && this.settings.leases && node.term < term && !node.hasReady()) {
      this.count('a vote refused by a promise');
    }
  }

  #judge(replica: RaftReplica): void {
    const claim = replica.claim();
    const before = this.ledger.lastClaim(replica);
    const prior = this.commitment.last;
    this.ledger.claimed(replica, claim);
    const fresh = this.commitment.claimed(replica, before, claim);
    this.conduct.claimed(replica, before, claim);
    this.#recognise(replica, before, claim);
    if (fresh > 0 && (replica.log.term(prior + 1) ?? claim.term) < claim.term) {
      this.count('an entry of a prior term was committed');
    }
    this.#trace.note(
      `${this.#scheduler.nowUs} ${replica.id} ${claim.term} ${claim.role} ${claim.committed} ${claim.applied}`,
    );
  }

  #recognise(replica: RaftReplica, before: Claim | undefined, claim: Claim): void {
    const led = before?.role === Role.leader;
    const leads = claim.role === Role.leader;
    if (led && !leads && before.term === claim.term)
      this.count('a leader stepped down in its term');
    if (led || !leads) return;
    this.elected(replica);
    if (isJoint(claim.configuration)) this.count('an election during a joint change');
    const others = this.replicas.filter((other) => other.isLeading && other !== replica);
    if (others.length > 0) this.count('two leaders at once');
    // Somebody reads from those who do not know yet that they no longer lead.
    for (const other of others) {
      for (const ms of staleReadsMs) {
        this.#scheduler.after(ms * 1_000, () => this.#readStale(other));
      }
    }
    if (others.some(({ node }) => node.status().transferTarget === replica.id)) {
      this.count('a transfer that succeeded');
    }
  }

  #changed(before: Configuration, after: Configuration): void {
    if (!majoritiesOverlap(before, after)) {
      const [left, right] = [before, after].map(({ voters, outgoing }) => `${voters}|${outgoing}`);
      this.accuse('majorities overlap', `after voters ${left} come ${right}`);
    }
    if (isJoint(before)) {
      this.count(
        before.autoLeave ? 'a joint change left by itself' : 'a joint change left when asked',
      );
    } else this.count(isJoint(after) ? 'a joint change' : 'a simple change');
    for (const replica of this.replicas) {
      const { id } = replica;
      const voted = isVoter(before, id);
      const votes = isVoter(after, id);
      if (!voted && votes && isMember(before, id)) this.count('a learner became a voter');
      if (voted && !votes && isMember(after, id)) this.count('a voter became a learner');
      if (isMember(before, id) && !isMember(after, id)) {
        this.removedAt.set(id, this.configurationIndex);
      }
      if (!voted || votes || !replica.isLeading) continue;
      this.count('a leader removed');
      if (this.network.isCutOff(id)) this.count('a leader removed while partitioned');
    }
  }

  #readStale(replica: RaftReplica): void {
    if (replica.isLeading && !replica.isPaused) this.askRead(replica);
  }

  #forget(replica: RaftReplica, token: number): void {
    replica.reads.delete(token);
    this.promises.forgotten(token);
  }

  #enlist(replica: RaftReplica): void {
    this.replicas.push(replica);
    this.commitment.enlist(replica);
  }

  /** Some replica, drawn. */
  pick(random: Prng): RaftReplica {
    return present(random.pick(this.replicas), 'a group is never empty');
  }
}
