import test from 'ava';
import { StepKind, Transition } from './change.ts';
import { configurationOf, isJoint } from './configuration.ts';
import { Inflights } from './inflights.ts';
import { Message, MessageKind, noBytes, type Snapshot } from './message.ts';
import { Progress, ProgressState } from './progress.ts';
import { TestGroup, type TestReplica, voteAnswer } from './testing-group.ts';

/** A group in which 3 missed entries that 1 no longer has. */
function groupWithGap(): { group: TestGroup; one: TestReplica; three: TestReplica } {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.cut.add(3);
  for (const text of ['a', 'b', 'c']) group.propose(1, text);
  group.settle();
  one.compact();
  group.replica(2).compact();
  group.cut.clear();
  return { group, one, three: group.replica(3) };
}

function snapshotMessage(term: number, snapshot: Snapshot): Message {
  const message = new Message(MessageKind.snapshot, 1, 3, term);
  message.snapshot = snapshot;
  return message;
}

const at = (index: number, term: number): Snapshot => ({
  index,
  term,
  configuration: configurationOf([1, 2, 3]),
  payload: noBytes,
});

test('a follower that needs compacted entries gets a snapshot and then the log', (t) => {
  const { group, one, three } = groupWithGap();
  group.tick(3);
  t.is(three.storage.firstIndex(), one.storage.firstIndex());
  group.propose(1, 'd');
  group.settle();
  t.deepEqual(group.texts(3), ['d']);
  t.is(one.node.status().members[2]?.state, ProgressState.replicate);
});

test('a compacted entry is no conflict: its follower’s log is not probed downwards', (t) => {
  const { group, one, three } = groupWithGap();
  const sent: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    one.tick();
    for (const replica of group.replicas) replica.run();
    sent.push(...one.sent.filter(({ to }) => to === 3).map(({ kind }) => kind));
    group.collect();
    while (group.deliver());
  }
  t.is(sent.filter((kind) => kind === MessageKind.snapshot).length, 1);
  t.is(three.storage.lastIndex(), one.storage.lastIndex());
});

test('while a snapshot is under way nothing else is sent', (t) => {
  const { group, one } = groupWithGap();
  const exchange = (id: number): void => {
    group.replica(id).run();
    group.collect();
    while (group.deliver());
  };
  const progress = one.node.status().members[2];
  for (let round = 0; round < 5 && progress?.state !== ProgressState.snapshot; round += 1) {
    one.tick();
    for (const id of [1, 3]) exchange(id);
  }
  t.is(progress?.state, ProgressState.snapshot);
  one.run();
  t.true(one.sent.some(({ kind }) => kind === MessageKind.snapshot));
  one.sent = [];
  group.propose(1, 'd');
  one.run();
  t.deepEqual(
    one.sent.filter(({ to }) => to === 3),
    [],
  );
  t.true(progress?.isPaused());
});

test('a snapshot that was lost is sent again once that is reported', (t) => {
  const { group, one, three } = groupWithGap();
  const progress = one.node.status().members[2];
  for (let round = 0; round < 5 && progress?.state !== ProgressState.snapshot; round += 1) {
    one.tick();
    for (const replica of group.replicas) replica.run();
    group.collect();
    while (group.deliver());
  }
  one.run();
  one.sent = [];
  group.tick(5);
  t.is(progress?.state, ProgressState.snapshot, 'nobody knows that it was lost');
  t.not(three.storage.lastIndex(), one.storage.lastIndex());
  one.node.reportSnapshot(3, false);
  t.is(progress?.state, ProgressState.probe);
  t.is(progress?.next, (progress?.match ?? 0) + 1);
  group.tick(3);
  t.is(three.storage.lastIndex(), one.storage.lastIndex());
});

test('a snapshot that arrived some other way is gone on from once that is reported', (t) => {
  const progress = new Progress(3, 20, new Inflights(10, 1_000));
  progress.becomeSnapshot(15);
  progress.becomeProbe();
  t.is(progress.next, 16);
});

test('a snapshot behind what is committed changes nothing', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  for (const text of ['a', 'b']) group.propose(1, text);
  group.settle();
  const three = group.replica(3);
  const before = three.node.status();
  three.node.step(snapshotMessage(before.term, at(2, before.term)));
  three.run();
  t.deepEqual(three.node.status().committed, before.committed);
  t.is(three.storage.firstIndex(), 2);
  const [answer] = three.sent;
  t.deepEqual([answer?.kind, answer?.index], [MessageKind.appendAnswer, before.committed]);
});

test('entries handed out before a snapshot came are applied by the configuration they find', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  const three = group.replica(3);
  // Three is to apply the entering of a joint configuration, and its leaving.
  group.join(4);
  one.node.proposeChange({
    transition: Transition.implicit,
    steps: [{ kind: StepKind.learner, replica: 4 }],
    context: noBytes,
  });
  for (let round = 0; round < 40; round += 1) {
    for (const id of [1, 2]) group.replica(id).run();
    three.takeReady();
    while (three.finishAppend());
    group.collect();
    while (group.deliver());
  }
  t.deepEqual(one.configuration, configurationOf([1, 2, 3], [4]));
  t.deepEqual(three.configuration, configurationOf([1, 2, 3]));
  const { term, committed } = three.node.status();
  const snapshot = { ...at(committed + 5, term), configuration: one.configuration };
  three.node.step(snapshotMessage(term, snapshot));
  t.deepEqual(three.node.status().configuration, one.configuration, 'in force at once');
  three.finishApply();
  t.true(isJoint(three.configuration), 'the state machine is joint now');
  t.deepEqual(three.node.status().configuration, one.configuration, 'the newer one stays in force');
  while (three.finishApply());
  three.run();
  t.deepEqual(three.configuration, one.configuration);
  t.is(three.node.status().applied, committed + 5);
});

test('an old snapshot does not take a compacted log back', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  for (const text of ['a', 'b']) group.propose(1, text);
  group.settle();
  group.tick(1);
  const three = group.replica(3);
  three.compact();
  const before = three.node.status();
  three.node.step(snapshotMessage(before.term, at(2, before.term)));
  three.run();
  const after = three.node.status();
  t.deepEqual(
    [after.committed, after.applied, after.lastIndex],
    [before.committed, before.applied, before.lastIndex],
  );
});

test('a snapshot of entries that are all there only tells that they are committed', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.propose(1, 'a');
  one.run();
  group.collect();
  while (group.deliver());
  const three = group.replica(3);
  three.run();
  three.sent = [];
  const { lastIndex, term } = three.node.status();
  three.node.step(snapshotMessage(term, at(lastIndex, term)));
  three.run();
  t.is(three.node.status().committed, lastIndex);
  t.is(three.storage.firstIndex(), 2, 'its log stays');
  t.deepEqual(group.texts(3), ['a']);
});

for (const durable of [true, false]) {
  test(`under a snapshot nothing of the old log stays, ${durable ? 'durable' : 'or to be written'}`, (t) => {
    const group = new TestGroup(3, { preVote: false, checkQuorum: false });
    const one = group.elect(1);
    const three = group.replica(3);
    // Three leads for a moment, and writes what nobody else has.
    group.cut.add(1).add(2);
    three.node.campaign();
    three.run();
    three.node.step(voteAnswer(three, 2, true));
    for (const text of ['x', 'y', 'z', 'x', 'y', 'z']) group.propose(3, text);
    if (durable) three.run();
    const { term, lastIndex } = three.node;
    t.true(lastIndex > 4);
    three.node.step(snapshotMessage(term + 1, at(4, one.node.term)));
    t.is(three.node.lastIndex, 4);
    three.run();
    t.is(three.storage.lastIndex(), 4);
    t.deepEqual(three.terms(), []);
    t.is(three.node.status().applied, 4);
  });
}

test('a replica whose snapshot is not installed does not campaign', (t) => {
  const { three } = groupWithGap();
  const { term } = three.node;
  three.node.step(snapshotMessage(term, at(9, term)));
  t.is(three.node.campaign(), 'not-promotable');
  three.run();
  t.is(three.node.campaign(), 'begun');
});

test('a snapshot is sent only to one that was heard from', (t) => {
  const { group, one } = groupWithGap();
  group.cut.add(3);
  group.tick(12);
  const progress = one.node.status().members[2];
  t.false(progress?.active);
  one.node.reportUnreachable(3);
  group.propose(1, 'd');
  one.run();
  t.not(progress?.state, ProgressState.snapshot);
  t.false(one.sent.some(({ kind }) => kind === MessageKind.snapshot));
});

test('a snapshot is acknowledged only when it is durable', (t) => {
  const { three } = groupWithGap();
  three.run();
  three.sent = [];
  const { term } = three.node;
  three.node.step(snapshotMessage(term, at(9, term)));
  three.takeReady();
  t.deepEqual(three.sent, []);
  t.is(three.appends[0]?.snapshot?.index, 9);
  three.finishAppend();
  three.takeReady();
  t.is(three.sent[0]?.index, 9);
});

test('entries after a snapshot are applied after it', (t) => {
  const { group, three } = groupWithGap();
  group.tick(2);
  group.propose(1, 'd');
  group.settle();
  t.is(three.appliedIndex, group.replica(1).appliedIndex);
});

test('nothing is compacted that is not in the log', (t) => {
  const group = new TestGroup(1);
  const one = group.elect(1);
  t.throws(() => one.storage.compact(at(99, 1)), { message: /is in the log/ });
});

test('the last change of a log is where a snapshot ends that is not installed yet', (t) => {
  const { group, one, three } = groupWithGap();
  t.true(three.node.lastChangeIndex <= three.storage.lastIndex());
  const snapshot = at(one.storage.lastIndex(), one.node.term);
  three.node.step(snapshotMessage(one.node.term, snapshot));
  t.is(three.node.pendingSnapshot, snapshot);
  t.is(three.node.lastChangeIndex, snapshot.index);
  group.tick(3);
  const steps = [{ kind: StepKind.learner, replica: 9 }];
  one.node.proposeChange({ transition: Transition.auto, steps, context: noBytes });
  t.is(one.node.lastChangeIndex, one.node.lastIndex, 'one that is only logged counts');
});
