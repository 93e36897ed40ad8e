import test from 'ava';
import fc from 'fast-check';
import {
  applyChange,
  type Change,
  type ChangeStep,
  changeSimply,
  StepKind,
  Transition,
} from './change.ts';
import { decodeChange, encodeChange } from './change-codec.ts';
import { assertConfiguration, configurationOf, isJoint, isMember } from './configuration.ts';
import { EntryKind, Message, MessageKind, noBytes } from './message.ts';
import { Role } from './state.ts';
import { TestGroup } from './testing-group.ts';

function change(steps: readonly ChangeStep[], transition: Transition = Transition.auto): Change {
  return { transition, steps, context: noBytes };
}

const add = (replica: number): ChangeStep => ({ kind: StepKind.voter, replica });
const remove = (replica: number): ChangeStep => ({ kind: StepKind.remove, replica });
const learn = (replica: number): ChangeStep => ({ kind: StepKind.learner, replica });

test('a learner gets the log and decides nothing', (t) => {
  const group = new TestGroup(1);
  const one = group.elect(1);
  group.join(2);
  t.is(one.node.proposeChange(change([learn(2)])).kind, 'appended');
  group.settle();
  t.deepEqual(one.configuration.learners, [2]);
  group.cut.add(2);
  group.propose(1, 'a');
  group.settle();
  t.deepEqual(group.texts(1), ['a']);
  group.cut.clear();
  group.tick(3);
  t.deepEqual(group.texts(2), ['a']);
  t.is(group.replica(2).node.campaign(), 'not-promotable');
});

test('who was just added counts as heard from: its leader does not step down before it can answer', (t) => {
  const group = new TestGroup(1);
  const one = group.elect(1);
  group.tick(9);
  one.node.proposeChange(change([add(2)]));
  group.settle();
  t.deepEqual(one.configuration.voters, [1, 2]);
  group.tick(1);
  t.is(one.node.role, Role.leader);
  group.tick(10);
  t.is(one.node.role, Role.follower, 'but it has no second chance');
});

test('one change is under way at a time; the next becomes an empty entry', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  t.is(one.node.proposeChange(change([add(4)])).kind, 'appended');
  t.deepEqual(one.node.proposeChange(change([add(5)])), {
    kind: 'replaced',
    reason: 'change pending',
  });
  group.settle();
  t.deepEqual(one.configuration.voters, [1, 2, 3, 4]);
});

test('a new leader changes nothing before it has applied all of its log', (t) => {
  const group = new TestGroup(3, { preVote: false, checkQuorum: false });
  const exchange = (...ids: number[]): void => {
    for (const id of ids) group.replica(id).run();
    group.collect();
    while (group.deliver());
  };
  group.elect(1);
  group.propose(1, 'a');
  exchange(1);
  // Two and three have the entry, which for all they know may be a change.
  for (const id of [2, 3]) group.replica(id).run();
  group.cut.add(1);
  const two = group.replica(2);
  two.node.campaign();
  exchange(2);
  exchange(3);
  t.is(two.node.role, Role.leader);
  const refused = { kind: 'replaced', reason: 'change pending' } as const;
  t.deepEqual(two.node.proposeChange(change([add(4)])), refused);
  group.settle();
  t.is(two.node.proposeChange(change([add(4)])).kind, 'appended');
});

test('a change that cannot be made is refused when it is proposed, by name', (t) => {
  const group = new TestGroup(1);
  const one = group.elect(1);
  const reasonOf = (wish: Change): string => {
    const outcome = one.node.proposeChange(wish);
    group.settle();
    return outcome.kind === 'replaced' ? outcome.reason : outcome.kind;
  };
  t.is(reasonOf(change([remove(1)])), 'no voters left');
  t.is(reasonOf(change([])), 'not joint');
  t.is(reasonOf(change([remove(1), learn(1)])), 'no voters left');
  t.is(reasonOf(change([learn(2)], Transition.explicit)), 'appended');
  t.is(reasonOf(change([add(3)])), 'already joint');
  t.is(reasonOf(change([])), 'appended');
  t.false(isJoint(one.configuration));
});

test('who has a committed change to apply does not campaign', (t) => {
  const group = new TestGroup(3, { preVote: false });
  const one = group.elect(1);
  one.node.proposeChange(change([add(4)]));
  one.run();
  group.collect();
  while (group.deliver());
  for (const id of [2, 3]) {
    group.replica(id).takeReady();
    while (group.replica(id).finishAppend());
    group.replica(id).takeReady();
  }
  group.collect();
  while (group.deliver());
  one.run();
  group.collect();
  while (group.deliver());
  const two = group.replica(2);
  two.takeReady();
  while (two.finishAppend());
  two.takeReady();
  t.true(two.applies.some(({ entries }) => entries.some(({ kind }) => kind === EntryKind.change)));
  t.is(two.node.campaign(), 'change-unapplied');
  while (two.finishApply());
  t.is(two.node.campaign(), 'begun');
});

test('who acknowledges a change has the commit of the one before it on its disk', (t) => {
  const group = new TestGroup(3, { preVote: false, checkQuorum: false });
  const one = group.elect(1);
  group.cut.add(3);
  for (const id of [4, 5]) {
    t.is(one.node.proposeChange(change([add(id)])).kind, 'appended');
    group.settle();
  }
  const two = group.replica(2);
  const logged = two.storage.entries(2, two.storage.lastIndex() + 1, Number.POSITIVE_INFINITY);
  const changes = logged.filter(({ kind }) => kind === EntryKind.change);
  t.is(changes.length, 2);
  t.true(two.storage.initialState().hardState.commit >= (changes[0]?.index ?? 0));
  // It starts again with the first one to apply, and stands for election only after that.
  two.restart();
  t.is(two.node.campaign(), 'change-unapplied');
});

test('several voters are exchanged through a joint configuration, which is left by itself', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  for (const id of [4, 5]) group.join(id);
  one.node.proposeChange(change([add(4), add(5), remove(2), remove(3)]));
  group.settle();
  group.tick(5);
  t.deepEqual(one.configuration, configurationOf([1, 4, 5]));
  t.deepEqual(group.replica(5).configuration, configurationOf([1, 4, 5]));
});

test('while joint, both halves must have an entry (thesis 4.3)', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  for (const id of [4, 5]) group.join(id);
  one.node.proposeChange(change([add(4), add(5), remove(2), remove(3)], Transition.explicit));
  group.settle();
  group.tick(3);
  t.true(isJoint(one.configuration));
  const { committed } = one.node.status();
  // 1, 4 and 5 are all of the incoming half; of the outgoing one only 1 is there.
  group.cut.add(2).add(3);
  group.propose(1, 'a');
  group.settle();
  t.is(one.node.status().committed, committed);
  group.cut.delete(2);
  group.tick(3);
  t.true(one.node.status().committed > committed);
});

test('while joint, both halves must elect', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  for (const id of [4, 5]) group.join(id);
  one.node.proposeChange(change([add(4), add(5), remove(2), remove(3)], Transition.explicit));
  group.settle();
  group.tick(3);
  group.cut.add(1).add(2).add(3);
  group.tick(100);
  t.deepEqual(
    [4, 5].map((id) => group.replica(id).node.role === Role.leader),
    [false, false],
  );
  group.cut.delete(2);
  group.cut.delete(3);
  group.tick(100);
  t.is(group.leaders().length, 1);
});

test('a leader that leaves hands over to one who stays', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  one.node.proposeChange(change([remove(1)]));
  group.tick(25);
  t.is(one.node.role, Role.follower);
  t.is(one.node.campaign(), 'not-promotable');
  const [leader] = group.leaders();
  t.not(leader?.id, 1);
  t.deepEqual(leader?.configuration, configurationOf([2, 3]));
});

test('a leader that leaves stays until somebody has heard that it did', (t) => {
  // Two is to be alone. It has the change, but what tells that it is committed is lost, and so is what
  // one would hand over with. Without one's vote it could never lead, and one has more in its log.
  const group = new TestGroup(2);
  const one = group.elect(1);
  one.node.proposeChange(change([remove(1)]));
  one.node.propose([noBytes]);
  one.run();
  group.collect();
  while (group.deliver());
  group.replica(2).run();
  group.collect();
  while (group.deliver());
  one.node.propose([noBytes]);
  one.run();
  one.sent = [];
  t.deepEqual(one.configuration, configurationOf([2]));
  t.is(one.node.role, Role.leader);
  t.is(group.propose(1, 'a'), 'removed');
  group.tick(40);
  t.is(group.replica(2).node.role, Role.leader);
  t.is(one.node.role, Role.follower);
});

test('a leader that is about to leave logs nothing more', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  t.is(one.node.proposeChange(change([remove(1)])).kind, 'appended');
  const last = one.node.lastIndex;
  t.is(group.propose(1, 'a'), 'removed');
  t.is(one.node.lastIndex, last);
});

test('a new leader finds its own removal in its log, and logs nothing more', (t) => {
  const group = new TestGroup(3, { preVote: false, checkQuorum: false });
  const exchange = (id: number): void => {
    group.replica(id).run();
    group.collect();
    while (group.deliver());
  };
  const one = group.elect(1);
  const two = group.replica(2);
  one.node.proposeChange(change([remove(2)]));
  exchange(1);
  for (const id of [2, 3]) group.replica(id).run();
  group.cut.add(1);
  two.node.campaign();
  exchange(2);
  exchange(3);
  t.is(two.node.role, Role.leader);
  t.is(group.propose(2, 'a'), 'removed');
});

test('who stays alone gets on though the leader that left crashed before anybody heard of it', (t) => {
  const group = new TestGroup(2, { preVote: false });
  const one = group.elect(1);
  one.node.proposeChange(change([remove(1)]));
  one.run();
  group.collect();
  while (group.deliver());
  // Were this logged, two would lack it, and never get the vote of one.
  t.is(group.propose(1, 'later'), 'removed');
  one.run();
  one.sent = [];
  group.replica(2).run();
  group.collect();
  while (group.deliver());
  // It has applied its removal; all that would have told two so is lost.
  one.run();
  t.deepEqual(one.configuration, configurationOf([2]));
  one.restart();
  group.tick(100);
  t.is(group.replica(2).node.role, Role.leader);
  t.is(group.propose(2, 'a'), 'appended');
  group.settle();
  t.deepEqual(group.texts(2), ['a']);
});

test('who stays alone hears from who was removed, and whose log is longer, that it was', (t) => {
  const group = new TestGroup(2, { preVote: false });
  const [one, two] = [group.replica(1), group.elect(2)];
  two.node.proposeChange(change([remove(1)]));
  two.run();
  // One has this sooner than the disk of two.
  group.propose(2, 'longer');
  two.takeReady();
  for (const replica of [one, two, one]) {
    group.collect();
    while (group.deliver());
    if (replica === one) one.run();
    else while (two.takeReady());
  }
  t.deepEqual(one.configuration, configurationOf([2]));
  two.restart();
  t.deepEqual(two.configuration, configurationOf([1, 2]), 'it does not know that it is alone');
  t.true(two.node.lastIndex < one.node.lastIndex);
  t.is(one.node.campaign(), 'not-promotable');
  group.tick(60);
  t.is(two.node.role, Role.leader);
  t.deepEqual(two.configuration, configurationOf([2]));
});

test('what a vote tells to be committed is believed of the same entry only', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.cut.add(2);
  group.cut.add(3);
  group.propose(1, 'a');
  group.settle();
  const { committed, lastIndex, term } = one.node.status();
  t.true(committed < lastIndex);
  const tell = (commit: number, commitTerm: number): number => {
    one.restart();
    const request = new Message(MessageKind.preVote, 2, 1, term + 1);
    [request.commit, request.commitTerm] = [commit, commitTerm];
    one.node.step(request);
    return one.node.status().committed;
  };
  t.is(tell(lastIndex, term + 1), committed);
  t.is(tell(lastIndex + 1, term), committed);
  t.is(tell(lastIndex, term), lastIndex);
});

test('a leader that leaves may also step down at once', (t) => {
  const group = new TestGroup(3, { onRemoval: 'step-down' });
  const one = group.elect(1);
  one.node.proposeChange(change([remove(1)]));
  group.settle();
  t.is(one.node.role, Role.follower);
  t.is(group.propose(1, 'a'), 'no-leader');
  group.tick(60);
  t.not(group.leaders()[0]?.id, 1);
});

test('a leader that is no member any more counts without itself and takes no proposals', (t) => {
  const group = new TestGroup(3, { onRemoval: 'stay' });
  const one = group.elect(1);
  one.node.proposeChange(change([remove(1)]));
  group.settle();
  t.is(one.node.role, Role.leader);
  t.is(group.propose(1, 'a'), 'removed');
  t.false(isMember(one.configuration, 1));
  t.is(one.node.status().members.length, 2);
});

test('a leader that has become a learner takes no proposals, though its hand-over is called off', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  one.node.proposeChange(change([learn(1)]));
  one.run();
  for (const id of [2, 3]) {
    group.collect();
    while (group.deliver());
    group.replica(id).run();
  }
  group.collect();
  while (group.deliver());
  one.run();
  t.deepEqual(one.configuration, configurationOf([2, 3], [1]));
  one.node.transferLeader(1);
  t.is(one.node.role, Role.leader);
  t.is(group.propose(1, 'a'), 'removed');
});

test('answers of who was removed are not even looked at', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  const three = group.replica(3);
  group.propose(1, 'a');
  one.run();
  group.collect();
  while (group.deliver());
  three.run();
  const answer = three.sent[0];
  group.settle();
  one.node.proposeChange(change([remove(3)]));
  group.settle();
  if (answer === undefined) return t.fail('an answer was sent');
  t.is(one.node.step(answer), 'unknown-replica');
});

test('leaving a joint configuration weighs nothing, so that it is never refused', (t) => {
  const leave = change([]);
  t.is(encodeChange(leave).length, 0);
  t.deepEqual(decodeChange(noBytes), leave);
});

test('a joint configuration is left as well when a transfer came between and to nothing', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.join(4);
  group.cut.add(2);
  one.node.proposeChange(change([add(4), remove(3)], Transition.implicit));
  one.run();
  group.collect();
  one.node.transferLeader(2);
  group.settle();
  t.true(isJoint(one.configuration));
  t.is(one.node.status().transferTarget, 2);
  // Nothing else is proposed that would remind it.
  group.tick(10);
  group.cut.clear();
  group.tick(10);
  t.deepEqual(one.configuration, configurationOf([1, 2, 4]));
});

test('a transfer to one that is removed is given up', (t) => {
  const group = new TestGroup(4);
  const one = group.elect(1);
  group.cut.add(4);
  one.node.proposeChange(change([remove(4)]));
  one.run();
  group.collect();
  one.node.transferLeader(4);
  t.is(one.node.status().transferTarget, 4);
  group.settle();
  t.is(one.node.status().transferTarget, 0);
});

test('a simple change moves at most one voter', (t) => {
  const from = configurationOf([1, 2, 3]);
  const reasonOf = (steps: readonly ChangeStep[]): string => {
    const outcome = changeSimply(from, steps);
    return outcome.kind === 'refused' ? outcome.reason : outcome.kind;
  };
  t.is(reasonOf([add(4), learn(5)]), 'changed');
  t.is(reasonOf([add(4), add(5)]), 'more than one voter');
  t.is(reasonOf([add(4), remove(3)]), 'more than one voter');
  t.is(reasonOf([add(4), remove(4)]), 'changed');
});

test('a voter that becomes a learner keeps its vote until the joint configuration is left', (t) => {
  const from = configurationOf([1, 2, 3]);
  const joint = applyChange(from, change([learn(3)], Transition.explicit));
  if (joint.kind !== 'changed') return t.fail(joint.reason);
  t.deepEqual(joint.configuration.learnersNext, [3]);
  t.deepEqual(joint.configuration.learners, []);
  const left = applyChange(joint.configuration, change([]));
  if (left.kind !== 'changed') return t.fail(left.reason);
  t.deepEqual(left.configuration, configurationOf([1, 2], [3]));
});

const anyStep = fc.record({
  kind: fc.constantFrom(...Object.values(StepKind)),
  replica: fc.integer({ min: 0, max: 6 }),
});
const anyChange = fc.record({
  transition: fc.constantFrom(...Object.values(Transition)),
  steps: fc.array(anyStep, { maxLength: 5 }),
  context: fc.uint8Array({ maxLength: 5 }),
});

test('changes survive their encoding', (t) => {
  fc.assert(fc.property(anyChange, (wish) => t.deepEqual(decodeChange(encodeChange(wish)), wish)));
});

test('whatever is asked for, configurations stay sound and majorities overlap', (t) => {
  fc.assert(
    fc.property(fc.array(anyChange, { maxLength: 12 }), (wishes) => {
      let before = configurationOf([1, 2, 3]);
      for (const wish of wishes) {
        const outcome = applyChange(before, wish);
        if (outcome.kind === 'refused') continue;
        const after = outcome.configuration;
        assertConfiguration(after);
        t.true(after.voters.length > 0);
        const kept = before.voters.filter((id) => after.voters.includes(id)).length;
        const moved = before.voters.length + after.voters.length - 2 * kept;
        if (isJoint(after)) t.deepEqual(after.outgoing, before.voters);
        else if (isJoint(before)) t.deepEqual(after.voters, before.voters);
        else t.true(moved <= 1);
        before = after;
      }
    }),
  );
});
