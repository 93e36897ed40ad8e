import test from 'ava';
import { StepKind, Transition } from './change.ts';
import { noBytes } from './message.ts';
import { TestGroup, type TestReplica } from './testing-group.ts';

/** A group whose leader, replica 1, has nothing more to say. */
function quietGroup(): { readonly group: TestGroup; readonly leader: TestReplica } {
  const group = new TestGroup(3, { lazyCommits: true });
  const leader = group.elect(1);
  group.tick(1);
  return { group, leader };
}

test('what is committed is told with the next entries, and by no append of its own', (t) => {
  const { group, leader } = quietGroup();
  group.propose(1, 'a');
  group.settle();
  t.deepEqual([group.texts(1), group.texts(2)], [['a'], []]);
  t.true(leader.node.owesCommits);
  group.propose(1, 'b');
  group.settle();
  t.deepEqual([group.texts(1), group.texts(2), group.texts(3)], [['a', 'b'], ['a'], ['a']]);
});

test('it is told when the caller asks, once, and not to those whom entries told since', (t) => {
  const { group, leader } = quietGroup();
  group.propose(1, 'a');
  group.settle();
  const { committed } = leader.node;
  leader.node.tellCommits(committed);
  group.settle();
  t.false(leader.node.owesCommits);
  t.deepEqual([group.texts(2), group.texts(3)], [['a'], ['a']]);
  group.propose(1, 'b');
  group.settle();
  leader.node.tellCommits(committed);
  t.false(leader.node.hasReady(), 'it was told up to there');
  t.true(leader.node.owesCommits);
});

test('a heartbeat tells it too', (t) => {
  const { group, leader } = quietGroup();
  group.propose(1, 'a');
  group.settle();
  group.tick(1);
  t.deepEqual([group.texts(2), group.texts(3)], [['a'], ['a']]);
  t.false(leader.node.owesCommits);
});

test('nothing is owed to one that gets nothing before it is heard, nor by one that follows', (t) => {
  const { group, leader } = quietGroup();
  group.cut.add(3);
  group.propose(1, 'a');
  group.settle();
  leader.node.tellCommits(leader.node.committed);
  group.settle();
  leader.node.reportUnreachable(3);
  group.propose(1, 'b');
  group.settle();
  leader.node.tellCommits(leader.node.committed);
  leader.takeReady();
  t.false(leader.node.owesCommits, 'replica 3 is probed');
  t.false(group.replica(2).node.owesCommits);
});

test('a change of the configuration is told at once', (t) => {
  const { group, leader } = quietGroup();
  group.join(4);
  leader.node.proposeChange({
    transition: Transition.auto,
    steps: [{ kind: StepKind.learner, replica: 4 }],
    context: noBytes,
  });
  group.settle();
  t.deepEqual([...group.replica(2).configuration.learners], [4]);
});
