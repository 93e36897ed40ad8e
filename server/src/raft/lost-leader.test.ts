/** A follower is told that the connection to its leader broke: what it may do, and what it may not. */
import test from 'ava';
import { MessageKind, noReplica } from './message.ts';
import { Role } from './state.ts';
import { TestGroup } from './testing-group.ts';

test('whose leader is lost campaigns at once, and wins with another one who lost it', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  group.propose(1, 'a');
  group.settle();
  group.cut.add(1);
  for (const id of [2, 3]) t.true(group.replica(id).node.leaderLost(1));
  group.replica(2).node.campaign();
  group.settle();
  t.is(group.replica(2).node.role, Role.leader);
  t.deepEqual(group.texts(3), ['a']);
});

test('a connection that breaks although the leader lives deposes nobody', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  const two = group.replica(2);
  const { term } = one.node;
  t.true(two.node.leaderLost(1));
  t.is(two.lead, noReplica);
  two.node.campaign();
  group.settle();
  t.is(two.node.role, Role.preCandidate);
  for (const replica of group.replicas) t.is(replica.node.term, term);
  // The leader is heard again, in the same term.
  group.tick(2);
  t.is(one.node.role, Role.leader);
  t.is(two.node.role, Role.follower);
  t.is(two.lead, 1);
  t.is(two.node.term, term);
});

test('one who lost its leader still has its vote of the term', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  const two = group.replica(2);
  const { term } = two.node;
  const { vote } = two.node.status();
  t.is(vote, 1);
  two.node.leaderLost(1);
  t.is(two.node.status().vote, vote);
  t.is(two.node.term, term);
});

test('only the leader that is followed is lost', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  t.false(group.replica(2).node.leaderLost(3));
  t.is(group.replica(2).lead, 1);
  // A leader that loses a follower leads on.
  t.false(one.node.leaderLost(2));
  t.is(one.node.role, Role.leader);
  group.replica(2).node.forgetLeader();
  t.false(group.replica(2).node.leaderLost(noReplica + 1));
});

test('with leases nobody is lost: a promise holds, whatever becomes of the connection', (t) => {
  const electionMs = 1_000;
  const group = new TestGroup(3, { lease: { electionMs, marginShare: 0.1, nowMs: 0 } });
  for (const replica of group.replicas) replica.setClock(electionMs);
  const one = group.elect(1);
  one.node.readIndex(1);
  group.settle();
  t.true(one.node.confirmsAlone);
  group.cut.add(1);
  for (const id of [2, 3]) {
    t.false(group.replica(id).node.leaderLost(1));
    t.is(group.replica(id).lead, 1);
    t.is(group.replica(id).node.campaign(), 'promised');
  }
  t.deepEqual(
    group.replica(2).sent.filter(({ kind }) => kind === MessageKind.preVote),
    [],
  );
  // When the promise is over the leader counts on it no longer.
  for (const replica of group.replicas) replica.setClock(2 * electionMs);
  t.false(one.node.confirmsAlone);
  group.tick(20);
  t.is(group.leaders().length, 1);
  t.not(group.leaders()[0]?.id, 1);
});
