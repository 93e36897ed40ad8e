import test from 'ava';
import { StepKind, Transition } from './change.ts';
import { LeaderLease } from './lease.ts';
import { Message, MessageKind, noBytes } from './message.ts';
import { Role } from './state.ts';
import { TestGroup, type TestOptions } from './testing-group.ts';

const electionMs = 1_000;
const options: TestOptions = {
  lease: { electionMs, marginShare: 0.1, nowMs: 0 },
  electionTicks: 10,
};

/** A group that has been up for longer than a promise lasts. */
function leasedGroup(): { group: TestGroup; setClock: (nowMs: number) => void } {
  const group = new TestGroup(3, options);
  const setClock = (nowMs: number): void => {
    for (const { node } of group.replicas) node.setClock(nowMs);
  };
  setClock(electionMs);
  group.elect(1);
  group.tick(1);
  return { group, setClock };
}

test('a leader with the lease answers reads without asking anybody', (t) => {
  const { group } = leasedGroup();
  const one = group.replica(1);
  group.cut.add(2).add(3);
  one.node.readIndex(1);
  one.takeReady();
  t.is(one.reads.length, 1);
  t.deepEqual(one.sent, []);
});

test('a lease ends a margin before the promises that it rests on', (t) => {
  const { group, setClock } = leasedGroup();
  const one = group.replica(1);
  group.cut.add(2).add(3);
  // In steps, for a leap would be a stall.
  for (let nowMs = electionMs; nowMs < electionMs + 899; nowMs += 50) setClock(nowMs);
  setClock(electionMs + 899);
  one.node.readIndex(1);
  one.takeReady();
  t.is(one.reads.length, 1);
  setClock(electionMs + 901);
  one.node.readIndex(2);
  one.takeReady();
  t.is(one.reads.length, 1);
  t.is(one.sent.length, 2, 'it asks');
});

test('a stall voids the lease until another round is answered', (t) => {
  const { group, setClock } = leasedGroup();
  const one = group.replica(1);
  setClock(electionMs + 101);
  one.node.readIndex(1);
  one.takeReady();
  t.deepEqual(one.reads, []);
  group.settle();
  t.is(one.reads.length, 1);
  group.cut.add(2).add(3);
  one.node.readIndex(2);
  one.takeReady();
  t.is(one.reads.length, 2);
});

test('a round counts from when it was sent, not from when it was answered', (t) => {
  const { group, setClock } = leasedGroup();
  const one = group.replica(1);
  one.tick();
  one.run();
  group.collect();
  for (let nowMs = electionMs; nowMs <= electionMs + 850; nowMs += 50) setClock(nowMs);
  group.settle();
  group.cut.add(2).add(3);
  setClock(electionMs + 949);
  one.node.readIndex(1);
  one.takeReady();
  t.deepEqual(one.reads, []);
});

test('a voter that has promised votes for nobody, in whatever term', (t) => {
  const { group } = leasedGroup();
  const two = group.replica(2);
  const ask = (kind: typeof MessageKind.vote | typeof MessageKind.preVote, term: number): void => {
    const message = new Message(kind, 3, 2, term);
    message.logTerm = 99;
    message.index = 99;
    two.node.step(message);
    two.run();
  };
  const { term, vote } = two.node.status();
  ask(MessageKind.vote, term + 1);
  ask(MessageKind.preVote, term + 1);
  // Something of a higher term makes it forget its leader, but not its promise.
  two.node.step(new Message(MessageKind.heartbeatAnswer, 3, 2, term + 2));
  ask(MessageKind.vote, term + 2);
  t.deepEqual(
    two.sent.filter(({ kind }) => kind !== MessageKind.heartbeatAnswer),
    [],
  );
  t.not(two.node.status().vote, 3);
  t.is(vote, 1);
});

test('a voter that has promised does not campaign either', (t) => {
  const { group, setClock } = leasedGroup();
  const two = group.replica(2);
  t.is(two.node.campaign(), 'promised');
  two.tick(50);
  t.is(two.node.role, Role.follower);
  setClock(3 * electionMs);
  t.is(two.node.campaign(), 'begun');
});

test('a restarted voter does not know what it promised, and promises anew', (t) => {
  const group = new TestGroup(3, options);
  const two = group.replica(2);
  const message = new Message(MessageKind.vote, 3, 2, 2);
  message.logTerm = 1;
  message.index = 1;
  two.node.setClock(electionMs - 1);
  two.node.step(message);
  two.run();
  t.deepEqual(two.sent, []);
  two.node.setClock(electionMs);
  two.node.step(message);
  two.run();
  t.is(two.sent.length, 1);
});

test('a transfer ends the lease for the rest of the term', (t) => {
  const { group, setClock } = leasedGroup();
  const one = group.replica(1);
  group.cut.add(2);
  one.node.transferLeader(2);
  group.settle();
  // Nobody was elected; but the message may still arrive.
  for (let at = 1; at <= 20; at += 1) {
    setClock(electionMs + 50 * at);
    group.tick(1);
  }
  t.is(one.node.status().transferTarget, 0);
  t.is(one.node.role, Role.leader);
  group.cut.add(3);
  one.node.readIndex(1);
  one.takeReady();
  t.deepEqual(one.reads, []);
});

test('a transfer passes over promises, since the leader itself asked for it', (t) => {
  const { group } = leasedGroup();
  group.replica(1).node.transferLeader(3);
  group.settle();
  t.is(group.replica(3).node.role, Role.leader);
});

test('a new leader has no lease before its own round is answered', (t) => {
  const { group } = leasedGroup();
  group.replica(1).node.transferLeader(3);
  group.settle();
  group.cut.add(1).add(2);
  const three = group.replica(3);
  three.node.readIndex(1);
  three.takeReady();
  t.deepEqual(three.reads, []);
});

test('who leads again has the lease of that term, and none of the earlier one', (t) => {
  const { group } = leasedGroup();
  const one = group.replica(1);
  one.node.transferLeader(3);
  group.settle();
  group.replica(3).node.transferLeader(1);
  group.settle();
  t.is(one.node.role, Role.leader);
  group.cut.add(2).add(3);
  one.node.readIndex(1);
  one.takeReady();
  t.deepEqual(one.reads, [], 'what was granted before is over');
  group.cut.clear();
  group.tick(1);
  group.cut.add(2).add(3);
  one.node.readIndex(2);
  one.takeReady();
  t.is(one.reads.at(-1)?.token, 2);
});

test('another configuration ends the lease until a round is answered', (t) => {
  const { group } = leasedGroup();
  const one = group.replica(1);
  one.node.proposeChange({
    transition: Transition.auto,
    steps: [{ kind: StepKind.voter, replica: 4 }],
    context: noBytes,
  });
  group.settle();
  group.cut.add(2).add(3);
  one.node.readIndex(1);
  one.takeReady();
  t.deepEqual(one.reads, []);
});

test('a follower with leases does not forget its leader', (t) => {
  const { group } = leasedGroup();
  group.replica(2).node.forgetLeader();
  t.is(group.replica(2).lead, 1);
});

test('an old round gives nothing after the lease was dropped', (t) => {
  const lease = new LeaderLease({ electionMs, marginShare: 0.1, nowMs: 0 });
  lease.setClock(10);
  lease.drop();
  lease.extend(9);
  t.false(lease.isValid());
  lease.extend(10);
  t.true(lease.isValid());
});

test('a clock that goes back is refused', (t) => {
  const lease = new LeaderLease({ electionMs, marginShare: 0.1, nowMs: 10 });
  t.throws(() => lease.setClock(9), { message: /does not go back/ });
});
