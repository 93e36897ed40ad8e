/**
 * Random runs of small groups: messages lost, repeated, reordered, of earlier lives; disks that lag;
 * crashes; changes of the configuration; snapshots. After every step: one leader a term, a committed
 * entry stays, and everybody applies the same. The simulator does the same with real partitions.
 */
import test from 'ava';
import { Prng } from '../base/prng.ts';
import { StepKind, Transition } from './change.ts';
import { type Message, noBytes } from './message.ts';
import { ProgressState } from './progress.ts';
import { Role } from './state.ts';
import { bytesOf, TestGroup, type TestOptions, type TestReplica } from './testing-group.ts';

const seeds = 60;
const steps = 2_500;
/** Steps of a storm, and of the calm after it, in which something gets done. */
const phaseSteps = 250;

const leaseOptions = { electionMs: 1_000, marginShare: 0.1, nowMs: 0 } as const;

/** What must hold of a run, from its first step to its last. */
class Witness {
  /** Who led a term. */
  readonly #leaders = new Map<number, number>();
  /** The term of each committed entry, and what it said. */
  readonly #committed = new Map<number, string>();
  readonly #terms = new Map<number, number>();

  look(group: TestGroup): void {
    for (const replica of group.replicas) this.#lookAt(replica);
  }

  /** For each read, what was committed anywhere when it was asked for. */
  readonly #floors = new Map<number, number>();

  get committed(): number {
    return this.#terms.size;
  }

  /** Reads that were answered. */
  reads = 0;

  /** A read, by a token of its own. */
  read(group: TestGroup, replica: TestReplica, token: number): void {
    this.#floors.set(token, Math.max(...group.replicas.map(({ node }) => node.status().committed)));
    replica.node.readIndex(token);
  }

  get elections(): number {
    return this.#leaders.size;
  }

  #lookAt(replica: TestReplica): void {
    const { id, node, storage } = replica;
    node.verify();
    const { term, role, committed } = node.status();
    if (role === Role.leader) {
      const leader = this.#leaders.get(term) ?? id;
      if (leader !== id) throw new Error(`term ${term} has two leaders: ${leader} and ${id}`);
      this.#leaders.set(term, id);
    }
    const end = Math.min(committed, storage.lastIndex());
    for (
      let index = storage.firstIndex();
      index <= Math.min(replica.appliedIndex, end);
      index += 1
    ) {
      const known = this.#terms.get(index);
      const here = storage.term(index);
      if (known !== undefined && known !== here) {
        throw new Error(
          `entry ${index} was committed with term ${known}, replica ${id} has ${here}`,
        );
      }
      this.#terms.set(index, here);
    }
    for (const { index, token } of replica.reads.splice(0)) {
      const floor = this.#floors.get(token) ?? 0;
      if (index < floor)
        throw new Error(`a read at ${index} misses what was committed at ${floor}`);
      this.reads += 1;
    }
    for (const [index, text] of replica.applied) {
      const known = this.#committed.get(index) ?? text;
      if (known !== text) throw new Error(`entry ${index} was ${known} and is ${text}`);
      this.#committed.set(index, text);
    }
  }
}

function randomStep(group: TestGroup, prng: Prng, old: Message[], step: number): void {
  const replica = prng.pick(group.replicas);
  const { node } = replica;
  switch (prng.below(16)) {
    case 0:
    case 1:
      // Now and then so many that somebody campaigns.
      replica.tick(prng.chance(1, 6) ? 10 : 1);
      return;
    case 2:
      node.propose([bytesOf(`value ${step}`)]);
      return;
    case 3:
      if (prng.chance(1, 10)) group.cut.add(replica.id);
      if (prng.chance(1, 4)) group.cut.clear();
      return;
    case 4:
    case 5:
      replica.finishAppend();
      return;
    case 6:
      replica.finishApply();
      return;
    case 7:
      if (prng.chance(1, 12)) replica.restart();
      return;
    case 8:
      if (prng.chance(1, 8) && replica.appliedIndex > replica.storage.firstIndex())
        replica.compact();
      return;
    case 9:
      if (prng.chance(1, 10)) changeSomething(group, replica, prng);
      return;
    case 10:
      if (prng.chance(1, 10)) node.transferLeader(prng.pick(group.replicas).id);
      return;
    default:
      replica.takeReady();
      group.collect();
      for (let count = prng.between(1, 4); count > 0; count -= 1) moveMessage(group, prng, old);
  }
}

function calmStep(group: TestGroup, prng: Prng, old: Message[], step: number): void {
  group.cut.clear();
  const replica = prng.pick(group.replicas);
  if (prng.chance(1, 10)) replica.tick();
  if (prng.chance(1, 10)) replica.node.propose([bytesOf(`value ${step}`)]);
  if (prng.chance(1, 30)) replica.restart();
  replica.run();
  group.collect();
  for (let count = prng.below(8); count > 0 && group.bag.length > 0; count -= 1) {
    const [message] = group.bag.splice(prng.below(Math.min(group.bag.length, 3)), 1);
    if (message === undefined) return;
    old.push(message);
    group.hand(message);
  }
}

function moveMessage(group: TestGroup, prng: Prng, old: Message[]): void {
  if (group.bag.length === 0) return;
  const [message] = group.bag.splice(prng.below(Math.min(group.bag.length, 6)), 1);
  if (message === undefined || prng.chance(1, 12)) return;
  old.push(message);
  group.hand(message);
  // Some message of any age comes once more.
  if (prng.chance(1, 12)) group.hand(prng.pick(old));
}

function changeSomething(group: TestGroup, replica: TestReplica, prng: Prng): void {
  const kinds = [StepKind.voter, StepKind.learner, StepKind.remove] as const;
  const steps = Array.from({ length: prng.between(0, 2) }, () => ({
    kind: prng.pick(kinds),
    replica: prng.pick(group.replicas).id,
  }));
  const transition = prng.pick([Transition.auto, Transition.implicit, Transition.explicit]);
  replica.node.proposeChange({ transition, steps, context: noBytes });
}

/** Clocks differ by up to eight hundredths, within the margin of a tenth. */
function rateOf({ id }: TestReplica): number {
  return 0.96 + 0.02 * (id % 5);
}

function run(seed: number, chosen: TestOptions): Witness {
  const prng = new Prng(seed, 'chaos');
  const lease = seed % 3 === 0 && chosen.checkQuorum === true ? leaseOptions : null;
  const options = { ...chosen, lease };
  const group = new TestGroup(prng.between(2, 5), options, seed);
  const witness = new Witness();
  const old: Message[] = [];
  // In a third of the runs leaders have leases; ticks come as they like.
  let nowMs = 0;
  for (let step = 0; step < steps; step += 1) {
    nowMs += prng.below(20);
    for (const replica of group.replicas) replica.setClock(nowMs * rateOf(replica));
    if (prng.chance(1, 8)) witness.read(group, prng.pick(group.replicas), step);
    if (Math.floor(step / phaseSteps) % 2 === 0) randomStep(group, prng, old, step);
    else calmStep(group, prng, old, step);
    witness.look(group);
  }
  quieten(group, old, nowMs);
  witness.look(group);
  return witness;
}

/** Of those that lead, the one of the highest term: others may campaign alone in higher ones. */
function newestLeader(group: TestGroup): TestReplica | undefined {
  return group.replicas
    .filter(({ node }) => node.role === Role.leader)
    .sort((a, b) => b.node.term - a.node.term)[0];
}

/**
 * Faults stop, though a last message of any age may still come: within some election timeouts there is
 * a leader, and everybody who belongs to its group comes to have all that it has.
 */
function quieten(group: TestGroup, old: readonly Message[], fromMs: number): void {
  group.cut.clear();
  for (const message of old.slice(-20)) group.hand(message);
  group.settle();
  // Whoever carries snapshots says that they were lost; nothing else would be sent.
  for (const { node } of group.replicas) {
    for (const { id, state } of node.status().members) {
      if (state === ProgressState.snapshot) node.reportSnapshot(id, false);
    }
  }
  for (let tick = 0; tick < 400; tick += 1) {
    for (const replica of group.replicas) replica.setClock((fromMs + tick * 200) * rateOf(replica));
    group.tick(1);
    const leader = newestLeader(group);
    if (leader === undefined || leader.node.propose([bytesOf('end')]).kind !== 'appended') continue;
    group.tick(60);
    const now = newestLeader(group);
    if (now === undefined) continue;
    const { configuration, committed } = now.node.status();
    if (committed !== now.node.lastIndex) throw new Error('not all of the log is committed');
    for (const { id } of now.node.status().members) {
      const member = group.replica(id);
      if (member.appliedIndex !== committed) throw new Error(`replica ${id} lags behind for good`);
    }
    if (configuration.autoLeave) throw new Error('a joint configuration is not left');
    return;
  }
  throw new Error('nobody is elected');
}

for (const preVote of [true, false]) {
  for (const checkQuorum of [true, false]) {
    test(`random runs keep what Raft promises (pre-vote ${preVote}, check-quorum ${checkQuorum})`, (t) => {
      let committed = 0;
      let elections = 0;
      let reads = 0;
      for (let seed = 1; seed <= seeds; seed += 1) {
        const witness = run(seed, {
          preVote,
          checkQuorum,
          electionTicks: 5,
          messageBytesMax: 100,
          inflightMessagesMax: 3,
          applyingBytesMax: 200,
          uncommittedBytesMax: 2_000,
        });
        committed += witness.committed;
        elections += witness.elections;
        reads += witness.reads;
      }
      t.log(
        `${seeds} runs: ${elections} elections, ${committed} entries committed, ${reads} reads`,
      );
      t.true(elections > seeds, 'leaders change');
      t.true(committed > seeds * 10, 'runs get something done');
      t.true(reads > seeds * 10, 'reads are answered');
    });
  }
}
