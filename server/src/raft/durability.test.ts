import test from 'ava';
import { Entry, EntryKind, Message, MessageKind } from './message.ts';
import { Role } from './state.ts';
import { bytesOf, TestGroup, type TestReplica, voteAnswer } from './testing-group.ts';

/** Kinds of messages that a replica has sent since last asked. */
function kindsSent(replica: TestReplica): number[] {
  const kinds = replica.sent.map(({ kind }) => kind);
  replica.sent = [];
  return kinds;
}

test('a vote is answered only when it is durable (thesis 3.8)', (t) => {
  const group = new TestGroup(3, { preVote: false });
  const [one, two] = [group.replica(1), group.replica(2)];
  one.node.campaign();
  one.takeReady();
  one.finishAppend();
  const request = one.sent.find(({ to }) => to === 2);
  t.truthy(request);
  if (request !== undefined) two.node.step(request);
  two.takeReady();
  t.deepEqual(kindsSent(two), []);
  t.is(two.appends[0]?.hardState?.vote, 1);
  two.finishAppend();
  two.takeReady();
  t.deepEqual(kindsSent(two), [MessageKind.voteAnswer]);
});

test('a candidate counts its own vote only when that is durable', (t) => {
  const group = new TestGroup(1, { preVote: false });
  const one = group.replica(1);
  one.node.campaign();
  one.takeReady();
  t.is(one.node.role, Role.candidate);
  one.finishAppend();
  t.is(one.node.role, Role.leader);
});

test('a vote that was given survives a restart: nobody votes twice in a term', (t) => {
  const group = new TestGroup(3, { preVote: false });
  const two = group.replica(2);
  const request = (from: number) => {
    const candidate = group.replica(from);
    candidate.node.campaign();
    candidate.run();
    const message = candidate.sent.find(({ to }) => to === 2);
    candidate.sent = [];
    return message;
  };
  const [first, second] = [request(1), request(3)];
  t.is(first?.term, second?.term);
  if (first !== undefined) two.node.step(first);
  two.run();
  two.restart();
  if (second !== undefined) two.node.step(second);
  two.run();
  const answers = two.sent.filter(({ kind }) => kind === MessageKind.voteAnswer);
  t.deepEqual(
    answers.map(({ to, reject }) => [to, reject]),
    [[3, true]],
  );
});

test('a vote that did not become durable was never given', (t) => {
  const group = new TestGroup(3, { preVote: false });
  const [one, two] = [group.replica(1), group.replica(2)];
  one.node.campaign();
  one.run();
  const message = one.sent.find(({ to }) => to === 2);
  if (message !== undefined) two.node.step(message);
  two.takeReady();
  two.restart();
  two.run();
  t.is(two.node.status().vote, 0);
  t.deepEqual(kindsSent(two), []);
});

test('a follower acknowledges entries only when they are durable', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  const two = group.replica(2);
  group.propose(1, 'a');
  one.takeReady();
  for (const message of one.sent.filter(({ to }) => to === 2)) two.node.step(message);
  two.takeReady();
  t.deepEqual(kindsSent(two), []);
  two.finishAppend();
  two.takeReady();
  t.deepEqual(kindsSent(two), [MessageKind.appendAnswer]);
});

test('an empty append is acknowledged only when what it rests on is durable', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  const two = group.replica(2);
  group.propose(1, 'a');
  one.takeReady();
  const append = one.sent.find(({ to, kind }) => to === 2 && kind === MessageKind.append);
  if (append === undefined) return t.fail('an append was sent');
  two.node.step(append);
  two.takeReady();
  // The leader asks again, without entries: two has them, but not on its disk.
  two.node.step(append);
  two.takeReady();
  t.deepEqual(kindsSent(two), []);
  t.is(two.appends.length, 2);
  two.finishAppend();
  two.takeReady();
  t.deepEqual(kindsSent(two), [MessageKind.appendAnswer], 'the first answer, and not the second');
  two.finishAppend();
  two.takeReady();
  t.deepEqual(kindsSent(two), [MessageKind.appendAnswer]);
});

test('a leader counts its own entry only when that is durable', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.cut.add(3);
  const before = one.node.status().committed;
  group.propose(1, 'a');
  one.takeReady();
  t.is(one.appends.length, 1);
  group.collect();
  while (group.deliver());
  group.replica(2).run();
  group.collect();
  while (group.deliver());
  t.is(one.node.status().committed, before, 'one durable copy of three is not enough');
  one.finishAppend();
  t.is(one.node.status().committed, before + 1);
});

test('a leader whose disk is slow commits what the others have', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.propose(1, 'a');
  one.takeReady();
  group.collect();
  while (group.deliver());
  group.replica(2).run();
  group.replica(3).run();
  group.collect();
  while (group.deliver());
  one.takeReady();
  t.is(one.node.status().committed, one.node.lastIndex);
  t.is(one.applies.length, 0, 'but applies only what is durable on its own disk');
  while (one.finishAppend());
  one.takeReady();
  t.is(one.applies.length, 1);
});

test('a completion of an earlier term says nothing about entries that replaced those written', (t) => {
  const group = new TestGroup(5, { preVote: false, checkQuorum: false });
  const [one, two, three] = [group.elect(1), group.replica(2), group.replica(3)];
  const deliverTo = (from: TestReplica, to: number): void => {
    from.run();
    for (const message of from.sent.filter((each) => each.to === to)) group.hand(message);
    from.sent = [];
  };
  // Two gets an entry of the first leader, and begins to write it.
  one.node.propose([bytesOf('old')]);
  deliverTo(one, 2);
  two.takeReady();
  t.is(two.appends.length, 1);
  // Three is elected without having seen it, and its own entry of the same index comes to two.
  three.node.campaign();
  three.run();
  const requests = three.sent;
  three.sent = [];
  for (const id of [4, 5]) {
    for (const message of requests.filter(({ to }) => to === id)) group.hand(message);
    deliverTo(group.replica(id), 3);
  }
  t.is(three.node.role, Role.leader);
  deliverTo(three, 2);
  two.takeReady();
  const index = two.node.lastIndex;
  const pending = two.appends.length;
  t.true(pending > 1);
  // The first write ends: what is on the disk is not what the log says.
  two.finishAppend();
  t.not(two.storage.term(index), two.node.term);
  two.takeReady();
  t.is(two.node.status().committed < index, true);
  while (two.finishAppend());
  t.is(two.storage.term(index), three.node.term);
  group.settle();
  t.deepEqual(two.terms(), three.terms());
});

/** An append of `from` in a term, after the entry that all logs begin with. */
function firstAppend(from: number, term: number, entries: readonly Entry[], commit = 1): Message {
  const message = new Message(MessageKind.append, from, 2, term);
  [message.logTerm, message.index] = [1, 1];
  message.entries = entries;
  message.commit = commit;
  return message;
}

test('a completion is void when entries came, went and came again meanwhile', (t) => {
  const group = new TestGroup(5, { preVote: false, checkQuorum: false });
  const two = group.replica(2);
  const first = new Entry(2, 2, EntryKind.normal, bytesOf('first'));
  const second = new Entry(3, 2, EntryKind.normal, bytesOf('second'));
  for (const message of [
    firstAppend(1, 2, [first]),
    firstAppend(3, 3, [second]),
    firstAppend(1, 4, [first], 2),
  ]) {
    two.node.step(message);
    two.takeReady();
  }
  t.is(two.appends.length, 3);
  // On the disk is now what the log says; but the second write will take it away again.
  two.finishAppend();
  two.takeReady();
  t.is(two.storage.term(2), 2);
  t.is(two.applies.length, 0);
  two.finishAppend();
  two.takeReady();
  t.is(two.storage.term(2), 3);
  t.is(two.applies.length, 0);
  two.finishAppend();
  two.takeReady();
  t.is(two.storage.term(2), 2);
  t.is(two.applies.length, 1);
});

test('a completion that is void for its term is made good by the write of the new one', (t) => {
  const group = new TestGroup(5, { preVote: false, checkQuorum: false });
  const two = group.replica(2);
  two.node.step(firstAppend(1, 2, [new Entry(2, 2, EntryKind.normal, bytesOf('a'))]));
  two.takeReady();
  two.node.step(new Message(MessageKind.heartbeat, 3, 2, 3));
  two.takeReady();
  two.finishAppend();
  two.finishAppend();
  // Nothing is written any more, and the entry counts as durable.
  const commit = new Message(MessageKind.heartbeat, 3, 2, 3);
  commit.commit = 2;
  two.node.step(commit);
  two.takeReady();
  t.is(two.applies.length, 1);
});

test('writes end in the order in which they were handed out', (t) => {
  const group = new TestGroup(1);
  const one = group.elect(1);
  group.propose(1, 'a');
  one.takeReady();
  group.propose(1, 'b');
  one.takeReady();
  const second = one.appends[1];
  if (second === undefined) return t.fail('two writes are under way');
  t.throws(() => one.node.appended(second), { message: /in the order/ });
});

test('a commit index alone need not be durable before anything else', (t) => {
  const group = new TestGroup(3, { asynchronous: false, preVote: false });
  const one = group.replica(1).node;
  one.campaign();
  t.true(one.ready().mustSync, 'a vote must');
  one.advance();
  t.false(one.hasReady());
});

test('what a Ready holds does not change when the replica goes on', (t) => {
  const group = new TestGroup(3, { asynchronous: false, preVote: false });
  const { node } = group.replica(1);
  node.campaign();
  const first = node.ready();
  node.advance();
  node.readIndex(1);
  node.step(voteAnswer(group.replica(1), 2, true, first.messages));
  const second = node.ready();
  const before = [second.messages.length, second.reads.length, second.entries.length];
  node.propose([bytesOf('a')]);
  node.tick();
  t.deepEqual([second.messages.length, second.reads.length, second.entries.length], before);
  node.advance();
  const third = node.ready();
  const counts = [third.messages.length, third.reads.length, third.entries.length];
  node.advance();
  for (let times = 0; times < 3; times += 1) {
    const quiet = node.ready();
    t.is(quiet.messages.length, 0);
    node.tick();
    t.is(quiet.messages.length, 0);
    node.advance();
    node.ready();
    node.advance();
  }
  t.deepEqual([third.messages.length, third.reads.length, third.entries.length], counts);
});

test('what was acknowledged is there after everybody crashes', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  for (const text of ['a', 'b', 'c']) group.propose(1, text);
  group.settle();
  for (const replica of group.replicas) replica.restart();
  group.elect(2);
  for (const { id } of group.replicas) t.deepEqual(group.texts(id), ['a', 'b', 'c']);
});

test('a replica starts again in the term and with the vote that it had', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  const { term, vote } = one.node.status();
  one.restart();
  const after = one.node.status();
  t.deepEqual([after.term, after.vote, after.role], [term, vote, Role.follower]);
});
