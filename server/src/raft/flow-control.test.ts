import test from 'ava';
import { Inflights } from './inflights.ts';
import { MessageKind } from './message.ts';
import { Progress, ProgressState } from './progress.ts';
import { bytesOf, TestGroup } from './testing-group.ts';

test('a window is full at its count, or at its bytes', (t) => {
  const byCount = new Inflights(2, 1_000);
  byCount.add(1, 1);
  t.false(byCount.full());
  byCount.add(2, 1);
  t.true(byCount.full());
  const byBytes = new Inflights(100, 10);
  byBytes.add(1, 9);
  t.false(byBytes.full());
  byBytes.add(2, 9);
  t.true(byBytes.full());
  byBytes.freeTo(1);
  t.false(byBytes.full());
});

test('a window frees what has arrived, whatever wraps around in it', (t) => {
  const window = new Inflights(20, 1_000);
  let next = 1;
  let freed = 0;
  for (let round = 0; round < 100; round += 1) {
    while (!window.full()) {
      window.add(next, 1);
      next += 1;
    }
    freed += 1 + (round % 7);
    window.freeTo(freed);
    t.is(window.count, next - 1 - freed);
  }
});

test('appends on their way to a follower are bounded by number', (t) => {
  const group = new TestGroup(3, { inflightMessagesMax: 4 });
  const one = group.elect(1);
  group.tick(1);
  for (let times = 0; times < 20; times += 1) group.propose(1, 'a');
  one.takeReady();
  const appends = one.sent.filter(({ to, entries }) => to === 2 && entries.length > 0);
  t.is(appends.length, 4);
  group.settle();
  t.is(group.texts(2).length, 20);
});

test('appends on their way to a follower are bounded by bytes', (t) => {
  const group = new TestGroup(3, { messageBytesMax: 200, inflightBytesMax: 500 });
  const one = group.elect(1);
  group.tick(1);
  for (let times = 0; times < 20; times += 1) one.node.propose([new Uint8Array(100)]);
  one.takeReady();
  const appends = one.sent.filter(({ to, entries }) => to === 2 && entries.length > 0);
  t.is(appends.length, 5);
  group.settle();
  t.is(group.replica(2).appliedIndex, one.appliedIndex);
});

test('an append carries what fits, and an entry that does not fit goes alone', (t) => {
  const group = new TestGroup(2, { messageBytesMax: 300, inflightBytesMax: 100_000 });
  const one = group.elect(1);
  group.tick(1);
  one.node.propose([
    new Uint8Array(50),
    new Uint8Array(50),
    new Uint8Array(1_000),
    new Uint8Array(50),
  ]);
  group.settle();
  group.cut.add(2);
  one.node.propose([new Uint8Array(50), new Uint8Array(50), new Uint8Array(1_000)]);
  one.takeReady();
  const [first] = one.sent;
  t.deepEqual(
    first?.entries.map(({ payload }) => payload.length),
    [50, 50],
  );
});

test('a window that was lost whole is sent again after a heartbeat', (t) => {
  const group = new TestGroup(3, { inflightMessagesMax: 2 });
  const one = group.elect(1);
  group.tick(1);
  group.cut.add(3);
  for (let times = 0; times < 10; times += 1) group.propose(1, 'a');
  group.settle();
  const three = one.node.status().members[2];
  t.true(three?.inflights.full());
  group.cut.clear();
  group.tick(2);
  t.is(group.texts(3).length, 10);
  t.is(three?.inflights.count, 0);
});

test('one that is unreachable is probed, and replicated to again when it answers', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.tick(1);
  const two = one.node.status().members[1];
  t.is(two?.state, ProgressState.replicate);
  one.node.reportUnreachable(2);
  t.is(two?.state, ProgressState.probe);
  group.tick(1);
  t.is(two?.state, ProgressState.replicate);
});

test('a probe is one append, until something is heard', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.tick(1);
  one.node.reportUnreachable(2);
  for (let times = 0; times < 5; times += 1) group.propose(1, 'a');
  one.takeReady();
  const appends = one.sent.filter(({ to, kind }) => to === 2 && kind === MessageKind.append);
  t.is(appends.length, 1);
});

test('what is next never falls to what matches, whatever is refused', (t) => {
  const progress = new Progress(2, 20, new Inflights(10, 1_000));
  progress.maybeUpdate(10);
  progress.becomeReplicate();
  progress.sentEntries(5, 50);
  t.false(progress.maybeDecrease(8, 3), 'an old refusal');
  t.true(progress.maybeDecrease(12, 3));
  progress.becomeProbe();
  t.is(progress.next, 11);
  t.true(progress.maybeDecrease(10, 0));
  t.is(progress.next, 11);
  t.is(progress.match, 10);
});

test('a refusal of another append than the one that is waited for changes nothing', (t) => {
  const progress = new Progress(2, 20, new Inflights(10, 1_000));
  t.false(progress.maybeDecrease(5, 3));
  t.is(progress.next, 20);
});

test('a leader’s uncommitted log is bounded, and takes proposals again when it is applied', (t) => {
  const group = new TestGroup(3, { uncommittedBytesMax: 100 });
  const one = group.elect(1);
  group.cut.add(2).add(3);
  const outcomes = Array.from({ length: 4 }, () => one.node.propose([new Uint8Array(40)]).kind);
  t.deepEqual(outcomes, ['appended', 'appended', 'full', 'full']);
  group.cut.clear();
  group.tick(3);
  t.is(one.node.propose([new Uint8Array(40)]).kind, 'appended');
});

test('entries of earlier terms make no room in the bound of the uncommitted log', (t) => {
  const group = new TestGroup(1, { preVote: false, uncommittedBytesMax: 100 });
  const one = group.elect(1);
  one.node.propose([new Uint8Array(80)]);
  one.takeReady();
  one.finishAppend();
  one.restart();
  one.node.campaign();
  one.takeReady();
  one.finishAppend();
  one.takeReady();
  t.is(one.node.propose([new Uint8Array(80)]).kind, 'appended');
  one.takeReady();
  // The entry that begins the term is committed, and the one of the earlier term with it.
  one.finishAppend();
  one.takeReady();
  while (one.finishApply());
  t.is(one.node.propose([new Uint8Array(80)]).kind, 'full');
  one.run();
  t.is(one.node.propose([new Uint8Array(80)]).kind, 'appended');
});

test('one proposal may be larger than the bound', (t) => {
  const group = new TestGroup(1, { uncommittedBytesMax: 10 });
  const one = group.elect(1);
  t.is(one.node.propose([new Uint8Array(40)]).kind, 'appended');
  t.is(one.node.propose([new Uint8Array(1)]).kind, 'full');
  group.settle();
  t.is(one.node.propose([new Uint8Array(1)]).kind, 'appended');
});

test('a refused proposal leaves nothing in the log', (t) => {
  const group = new TestGroup(3, { uncommittedBytesMax: 10 });
  const one = group.elect(1);
  one.node.propose([bytesOf('much more than ten')]);
  const last = one.node.lastIndex;
  t.is(one.node.propose([bytesOf('a'), bytesOf('b')]).kind, 'full');
  t.is(one.node.lastIndex, last);
});

test('what is handed out to be applied is bounded by bytes', (t) => {
  const group = new TestGroup(1, { applyingBytesMax: 200 });
  const one = group.elect(1);
  for (let times = 0; times < 10; times += 1) one.node.propose([new Uint8Array(76)]);
  one.takeReady();
  while (one.finishAppend());
  one.takeReady();
  t.is(one.applies.flatMap(({ entries }) => entries).length, 2);
  one.takeReady();
  t.is(one.applies.length, 1, 'nothing more before some of it is applied');
  group.settle();
  t.is(one.appliedIndex, one.node.lastIndex);
});
