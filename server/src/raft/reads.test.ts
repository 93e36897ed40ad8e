import test from 'ava';
import { StepKind, Transition } from './change.ts';
import { isJoint } from './configuration.ts';
import { Message, MessageKind, noBytes } from './message.ts';
import { Role } from './state.ts';
import { TestGroup, type TestReplica } from './testing-group.ts';

const kindsOf = (replica: TestReplica): number[] => replica.sent.map(({ kind }) => kind);

test('a leader answers a read when a majority has answered its round (thesis 6.4)', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  t.is(one.node.readIndex(7), 'pending');
  one.run();
  t.deepEqual(one.reads, []);
  t.deepEqual(kindsOf(one), [MessageKind.heartbeat, MessageKind.heartbeat]);
  group.cut.add(3);
  group.settle();
  t.deepEqual(one.reads, [{ index: one.node.status().committed, token: 7 }]);
});

test('reads between two Readys share a round', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  for (let token = 1; token <= 100; token += 1) one.node.readIndex(token);
  one.run();
  t.is(one.sent.length, 2);
  group.settle();
  t.is(one.reads.length, 100);
});

test('a leader that a majority has left answers no read', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.cut.add(1);
  group.tick(40);
  t.is(group.leaders()[0]?.node.role, Role.leader);
  one.node.readIndex(1);
  group.settle();
  t.deepEqual(one.reads, []);
});

test('a deposed leader that does not know it yet answers no read', (t) => {
  const group = new TestGroup(3, { preVote: false, checkQuorum: false });
  const one = group.elect(1);
  group.cut.add(1);
  group.replica(2).node.campaign();
  group.settle();
  group.propose(2, 'new');
  group.settle();
  t.is(one.node.role, Role.leader);
  one.node.readIndex(1);
  group.settle();
  group.cut.clear();
  one.tick(2);
  group.settle();
  t.deepEqual(one.reads, [], 'and none after it has heard');
});

test('a read of a lost leadership is not answered in a later one', (t) => {
  const group = new TestGroup(3, { preVote: false, checkQuorum: false });
  const one = group.elect(1);
  group.cut.add(1);
  group.replica(2).node.campaign();
  group.settle();
  group.propose(2, 'new');
  group.settle();
  // The index that it notes lies before what two has committed.
  one.node.readIndex(1);
  one.run();
  one.sent = [];
  group.cut.clear();
  group.tick(2);
  t.is(one.node.role, Role.follower);
  group.elect(1);
  group.tick(2);
  t.deepEqual(one.reads, []);
});

test('nothing is read before an entry of the leader’s own term is committed (thesis 6.4)', (t) => {
  const group = new TestGroup(3, { preVote: false, checkQuorum: false });
  const one = group.elect(1);
  const two = group.replica(2);
  // Two and three have the entry, and one has told nobody that it is committed.
  group.propose(1, 'a');
  one.run();
  group.collect();
  while (group.deliver());
  for (const id of [2, 3]) group.replica(id).run();
  group.collect();
  while (group.deliver());
  one.run();
  const committed = one.node.status().committed;
  one.sent = [];
  group.cut.add(1);
  // Two is elected, but its own first entry gets nowhere yet.
  two.node.campaign();
  two.run();
  group.collect();
  while (group.deliver());
  group.replica(3).run();
  group.collect();
  while (group.deliver());
  t.is(two.node.role, Role.leader);
  t.true(two.node.status().committed < committed, 'it does not know what is committed');
  t.is(two.node.readIndex(1), 'pending');
  two.run();
  t.deepEqual(two.reads, []);
  group.settle();
  t.is(two.reads.length, 1);
  t.true((two.reads[0]?.index ?? 0) >= committed);
});

test('a group of one waits for its own entry as well, then answers at once', (t) => {
  const group = new TestGroup(1, { preVote: false });
  const one = group.replica(1);
  one.node.campaign();
  one.takeReady();
  one.finishAppend();
  t.is(one.node.role, Role.leader);
  one.node.readIndex(1);
  one.takeReady();
  t.deepEqual(one.reads, []);
  group.settle();
  t.is(one.reads.length, 1);
  one.node.readIndex(2);
  one.takeReady();
  t.is(one.reads.length, 2);
  t.deepEqual(one.sent, []);
});

test('answers to an earlier round confirm no later read', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  one.tick();
  one.run();
  group.collect();
  const rounds = group.bag;
  group.bag = [];
  for (const message of rounds) group.hand(message);
  for (const id of [2, 3]) group.replica(id).run();
  // The answers are on their way when the read comes.
  one.node.readIndex(1);
  one.run();
  const heartbeats = one.sent;
  one.sent = [];
  group.collect();
  while (group.deliver());
  one.run();
  t.deepEqual(one.reads, []);
  for (const message of heartbeats) group.hand(message);
  group.settle();
  t.is(one.reads.length, 1);
});

test('a round that was lost is made good by the next heartbeat', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  one.node.readIndex(1);
  one.run();
  one.sent = [];
  group.tick(1);
  t.is(one.reads.length, 1);
});

test('a read that is asked for twice with one token is answered twice', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  one.node.readIndex(5);
  one.run();
  group.propose(1, 'a');
  one.node.readIndex(5);
  group.settle();
  const [first, second] = one.reads;
  t.is(one.reads.length, 2);
  t.true((first?.index ?? 0) <= (second?.index ?? 0));
});

test('a follower’s read is answered by its leader', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  const two = group.replica(2);
  t.is(two.node.readIndex(9), 'pending');
  group.settle();
  t.deepEqual(two.reads, [{ index: group.replica(1).node.status().committed, token: 9 }]);
});

test('an answer to an earlier life meets no read', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  const two = group.replica(2);
  two.node.readIndex(1);
  two.run();
  group.collect();
  while (group.deliver());
  const one = group.replica(1);
  one.run();
  group.collect();
  while (group.deliver());
  two.run();
  group.replica(3).run();
  group.collect();
  while (group.deliver());
  one.run();
  const stale = one.sent.find(({ kind }) => kind === MessageKind.readIndexAnswer);
  one.sent = [];
  if (stale === undefined) return t.fail('the leader has answered');
  two.restart();
  group.propose(1, 'later');
  group.settle();
  group.tick(2);
  two.node.readIndex(1);
  two.takeReady();
  two.node.step(stale);
  two.takeReady();
  t.deepEqual(two.reads, []);
  group.settle();
  t.is(two.reads.length, 1);
  t.true((two.reads[0]?.index ?? 0) > stale.index);
});

test('an answer that comes twice answers once', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  const two = group.replica(2);
  two.node.readIndex(1);
  two.run();
  const [request] = two.sent;
  if (request === undefined) return t.fail('the read was passed on');
  const answer = new Message(MessageKind.readIndexAnswer, 1, 2, two.node.term);
  answer.index = 5;
  answer.context = request.context;
  two.node.step(answer);
  two.node.step(answer);
  two.takeReady();
  t.is(two.reads.length, 1);
});

test('one voter that is alone in both halves of a joint configuration answers its own reads', (t) => {
  const group = new TestGroup(1);
  const one = group.elect(1);
  one.node.proposeChange({
    transition: Transition.explicit,
    steps: [{ kind: StepKind.learner, replica: 9 }],
    context: noBytes,
  });
  group.settle();
  t.true(isJoint(one.configuration));
  one.node.readIndex(1);
  one.takeReady();
  one.takeReady();
  t.is(one.reads.length, 1);
});

test('without a leader there is nobody to ask', (t) => {
  const group = new TestGroup(3);
  t.is(group.replica(1).node.readIndex(1), 'no-leader');
});

test('reads that were passed on are bounded: the oldest gives way', (t) => {
  const group = new TestGroup(3, { readsMax: 2 });
  group.elect(1);
  const two = group.replica(2);
  for (const token of [1, 2, 3]) t.is(two.node.readIndex(token), 'pending');
  two.run();
  for (const { context } of two.sent.filter(({ kind }) => kind === MessageKind.readIndex)) {
    const answer = new Message(MessageKind.readIndexAnswer, 1, 2, two.node.term);
    answer.context = context;
    two.node.step(answer);
  }
  two.takeReady();
  t.deepEqual(
    two.reads.map(({ token }) => token),
    [2, 3],
  );
});

test('a leader that is no voter any more does not answer alone for the one that is', (t) => {
  const group = new TestGroup(2, { onRemoval: 'stay' });
  const one = group.elect(1);
  one.node.proposeChange({
    transition: Transition.auto,
    steps: [{ kind: StepKind.remove, replica: 1 }],
    context: noBytes,
  });
  group.settle();
  t.is(one.node.role, Role.leader);
  one.node.readIndex(1);
  one.takeReady();
  t.deepEqual(one.reads, []);
  group.settle();
  t.is(one.reads.length, 1);
});

test('reads that wait are bounded', (t) => {
  const group = new TestGroup(3, { readsMax: 2 });
  const one = group.elect(1);
  group.cut.add(2).add(3);
  t.is(one.node.readIndex(1), 'pending');
  t.is(one.node.readIndex(2), 'pending');
  t.is(one.node.readIndex(3), 'full');
});

test('rounds under way are bounded: further reads share the one that follows', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.cut.add(2).add(3);
  for (let token = 1; token <= 50; token += 1) {
    one.node.readIndex(token);
    one.run();
  }
  t.is(one.sent.length, 16);
  group.cut.clear();
  group.settle();
  t.is(one.reads.length, 50);
});
