import test from 'ava';
import { HandClock } from '../../test/router/bench.ts';
import type { GroupId, LogIndex, NodeId, PartitionId } from '../base/ids.ts';
import type { MapOutcome } from '../cluster/map-command.ts';
import type { PlacementCommand } from '../cluster/placement-types.ts';
import { PlannedCluster } from '../cluster/testing-placement.ts';
import type { Replica } from '../partition/replica.ts';
import { type Change, StepKind, Transition } from '../raft/change.ts';
import { configurationOf } from '../raft/configuration.ts';
import { ProgressState } from '../raft/progress.ts';
import { type ReconciledHost, Reconciler } from './reconciler.ts';

const p1 = 1 as PartitionId;

/** A replica as far as a reconciler looks at it. */
interface FakeReplica {
  id: number;
  leads: boolean;
  lastChangeIndex: number;
  readonly members: Map<number, { match: number; learner: boolean }>;
  isChangePending: boolean;
}

/** A host of one partition's replica that writes down what it is told. */
class FakeHost {
  /** Nodes 1 to 3 have a replica of the partition, node 4 has joined. */
  readonly planned = new PlannedCluster(['', '', ''], 1, 3);
  readonly clock = new HandClock();
  replica: FakeReplica | undefined;
  isSettled = true;
  readonly made: number[] = [];
  readonly buried: number[] = [];
  readonly changes: Change[] = [];
  readonly handOvers: number[] = [];
  readonly placed: PlacementCommand[] = [];
  answer: ((outcome: MapOutcome) => void) | undefined;
  #changed: () => void = () => undefined;

  begin(self: number): Reconciler {
    this.planned.join();
    const host: ReconciledHost = {
      map: {
        cluster: this.planned.map,
        onChange: (run: () => void) => {
          this.#changed = run;
          return () => undefined;
        },
      } as unknown as ReconciledHost['map'],
      replicaOf: (group) => (group === p1 ? this.#view() : undefined),
      proposeChange: (_group, change) => {
        this.changes.push(change);
        return { kind: 'appended' };
      },
      handOver: (_group, to) => void this.handOvers.push(to),
      isConfigurationSettled: () => this.isSettled,
      createReplica: (_partition, replica, made) => {
        this.made.push(replica);
        this.replica = follower(replica);
        made();
      },
      removeReplica: async () => {
        this.buried.push(this.replica?.id ?? 0);
        this.replica = undefined;
      },
    };
    return new Reconciler({
      self: self as NodeId,
      clock: this.clock,
      host,
      place: (command, answer) => {
        this.placed.push(command);
        this.answer = answer;
      },
      onMade: () => undefined,
      onBuried: () => undefined,
    });
  }

  apply(command: PlacementCommand): void {
    this.planned.apply(command);
    this.#changed();
  }

  #view(): Replica | undefined {
    const { replica } = this;
    if (replica === undefined) return undefined;
    const { id, leads, lastChangeIndex, members, isChangePending } = replica;
    const voters = [...members].filter(([, { learner }]) => !learner).map(([each]) => each);
    const learners = [...members].filter(([, { learner }]) => learner).map(([each]) => each);
    const status = {
      id,
      configuration: { ...configurationOf(voters), learners },
      configurationIndex: 3,
      isChangePending,
      applied: 50,
      committed: 5_000,
      members: [...members].map(([each, { match, learner }]) => ({
        id: each,
        match,
        learner,
        active: true,
        state: ProgressState.replicate,
      })),
    };
    const view = { id, leads, lastChangeIndex, admitsProposals: leads, status: () => status };
    return view as unknown as Replica;
  }
}

function follower(id: number): FakeReplica {
  return { id, leads: false, lastChangeIndex: 3, members: new Map(), isChangePending: false };
}

function leader(id: number): FakeReplica {
  const members = new Map([1, 2, 3].map((each) => [each, { match: 5_000, learner: false }]));
  return { ...follower(id), leads: true, members };
}

const move: PlacementCommand = {
  kind: 'begin-move',
  group: p1 as GroupId,
  add: 4 as NodeId,
  remove: 3,
};

test('a joining replica is made once, and one that was given up is buried', async (t) => {
  const host = new FakeHost();
  host.begin(4);
  host.clock.advance(5_000);
  t.deepEqual(host.made, []);
  host.apply(move);
  host.clock.advance(5_000);
  t.deepEqual(host.made, [256]);
  // It is given up before it votes: the leader says what is in force without it.
  host.apply({ kind: 'begin-move', group: p1 as GroupId, add: undefined, remove: 256 });
  host.clock.advance(5_000);
  t.deepEqual(host.buried, []);
  const report = { kind: 'placed', group: p1 as GroupId, voters: [1, 2, 3], learners: [] } as const;
  host.apply({ ...report, index: 9 as LogIndex });
  host.clock.advance(5_000);
  await Promise.resolve();
  t.deepEqual(host.buried, [256]);
  t.deepEqual(host.made, [256]);
});

test('a replica is not buried before what was reported covers the last change in its log', (t) => {
  const host = new FakeHost();
  host.begin(3);
  host.replica = { ...follower(3), lastChangeIndex: 10 };
  host.apply(move);
  const report = { kind: 'placed', group: p1 as GroupId, learners: [] } as const;
  host.apply({ ...report, voters: [1, 2, 256], index: 9 as LogIndex });
  host.clock.advance(5_000);
  t.deepEqual(host.buried, []);
  host.apply({ ...report, voters: [1, 2, 256], index: 10 as LogIndex });
  host.clock.advance(5_000);
  t.deepEqual(host.buried, [3]);
});

test('a number that the map has not given yet is left alone', (t) => {
  const host = new FakeHost();
  host.begin(4);
  host.replica = { ...follower(256), lastChangeIndex: 0 };
  host.clock.advance(10_000);
  t.deepEqual(host.buried, []);
});

test('a leader adds a learner, waits for it, and replaces the one that leaves in one joint change', (t) => {
  const host = new FakeHost();
  host.begin(1);
  host.replica = leader(1);
  host.apply(move);
  t.is(host.changes.length, 1);
  t.deepEqual(host.changes[0]?.steps, [{ kind: StepKind.learner, replica: 256 }]);
  host.replica.isChangePending = true;
  host.clock.advance(1_000);
  t.is(host.changes.length, 1, 'one at a time');
  host.replica.isChangePending = false;
  host.replica.members.set(256, { match: 10, learner: true });
  host.clock.advance(1_000);
  t.is(host.changes.length, 1, 'it has not caught up');
  host.replica.members.set(256, { match: 4_900, learner: true });
  host.clock.advance(100);
  t.deepEqual(host.changes[1], {
    transition: Transition.implicit,
    steps: [
      { kind: StepKind.voter, replica: 256 },
      { kind: StepKind.remove, replica: 3 },
    ],
    context: host.changes[1]?.context ?? new Uint8Array(),
  });
  t.deepEqual(host.placed, []);
});

test('a leader that leaves hands over to one that stays, and changes nothing', (t) => {
  const host = new FakeHost();
  host.begin(3);
  host.replica = leader(3);
  host.replica.members.set(256, { match: 5_000, learner: true });
  host.apply(move);
  t.deepEqual(host.handOvers, [1]);
  t.deepEqual(host.changes, []);
});

test('a configuration is reported when a majority has applied it, once until it is answered', (t) => {
  const host = new FakeHost();
  host.isSettled = false;
  host.begin(1);
  host.replica = leader(1);
  host.replica.members.delete(3);
  host.replica.members.set(256, { match: 5_000, learner: false });
  host.apply(move);
  host.clock.advance(3_000);
  t.deepEqual(host.placed, []);
  host.isSettled = true;
  host.clock.advance(3_000);
  t.deepEqual(host.placed, [
    {
      kind: 'placed',
      group: p1 as GroupId,
      index: 50 as LogIndex,
      voters: [1, 2, 256],
      learners: [],
    },
  ]);
  const problem = { reason: 'NO_LEADER', field: '', message: '' } as const;
  host.answer?.({ kind: 'refused', problem });
  host.clock.advance(100);
  t.is(host.placed.length, 2, 'nobody took it down: it is said again');
});

test('what a leader did behind the map shows when all groups are looked at', (t) => {
  const host = new FakeHost();
  host.begin(1);
  host.replica = leader(1);
  // Put back as a learner by one whose map was behind.
  host.replica.members.set(9, { match: 5_000, learner: true });
  host.clock.advance(2_100);
  t.deepEqual(host.changes[0]?.steps, [{ kind: StepKind.remove, replica: 9 }]);
});
