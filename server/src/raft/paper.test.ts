/**
 * Sentences of the paper (Ongaro & Ousterhout 2014, "§") and of the thesis (Ongaro 2014) that state
 * behaviour, each as a test. What membership, reads, leases, snapshots and durability have of their own
 * is in the files of those names.
 */
import test from 'ava';
import { configurationOf } from './configuration.ts';
import { Entry, EntryKind, Message, MessageKind, noBytes } from './message.ts';
import { Role } from './state.ts';
import {
  bytesOf,
  TestGroup,
  type TestOptions,
  type TestReplica,
  voteAnswer,
} from './testing-group.ts';

/** The algorithm of the paper: no pre-vote, and leaders that stay until they hear otherwise. */
const plain: TestOptions = { preVote: false, checkQuorum: false };

/** Entries of these terms, from an index on. */
function entriesOf(terms: readonly number[], from: number): Entry[] {
  return terms.map((term, at) => new Entry(term, from + at, EntryKind.normal, bytesOf(`${term}`)));
}

/** A group whose replicas have logs of these terms after index 1, and the term of the last of them. */
function groupOf(logs: readonly (readonly number[])[], options: TestOptions = plain): TestGroup {
  const group = new TestGroup(logs.length, options);
  for (const [at, terms] of logs.entries()) {
    const replica = group.replica(at + 1);
    replica.storage.append(entriesOf(terms, 2));
    replica.storage.setHardState({ term: terms.at(-1) ?? 1, vote: 0, commit: 1 });
    replica.restart();
  }
  return group;
}

/** An append of a leader. */
function appendOf(
  fields: { from: number; to: number; term: number; previous: readonly [number, number] },
  entries: readonly Entry[] = [],
  commit = 0,
): Message {
  const message = new Message(MessageKind.append, fields.from, fields.to, fields.term);
  [message.logTerm, message.index] = fields.previous;
  message.entries = entries;
  message.commit = commit;
  return message;
}

/** A vote request of a candidate whose log ends so. */
function voteOf(from: number, to: number, term: number, last: readonly [number, number]): Message {
  const message = new Message(MessageKind.vote, from, to, term);
  [message.logTerm, message.index] = last;
  return message;
}

/** What a replica answers to a message. */
function answersOf(replica: TestReplica, message: Message): Message[] {
  replica.run();
  replica.sent = [];
  replica.node.step(message);
  replica.run();
  const { sent } = replica;
  replica.sent = [];
  return sent;
}

/** Runs and delivers between some replicas only, until nothing moves. */
function exchange(group: TestGroup, ...ids: readonly number[]): void {
  const others = group.replicas.map(({ id }) => id).filter((id) => !ids.includes(id));
  const before = [...group.cut];
  for (const id of others) group.cut.add(id);
  group.settle();
  group.cut.clear();
  for (const id of before) group.cut.add(id);
}

test('§5.1 a server that sees a larger term updates its own, and a leader or candidate steps down', (t) => {
  for (const role of [Role.follower, Role.candidate, Role.leader]) {
    const group = new TestGroup(3, plain);
    const one = group.replica(1);
    if (role === Role.leader) group.elect(1);
    if (role === Role.candidate) one.node.campaign();
    one.run();
    t.is(one.node.role, role);
    answersOf(one, appendOf({ from: 2, to: 1, term: 9, previous: [1, 1] }));
    t.is(one.node.role, Role.follower);
    t.is(one.node.term, 9);
    t.is(one.lead, 2);
  }
});

test('§5.1 a request with a stale term is rejected', (t) => {
  const group = new TestGroup(3, plain);
  group.elect(1);
  const two = group.replica(2);
  const last = two.node.lastIndex;
  answersOf(two, appendOf({ from: 3, to: 2, term: 1, previous: [1, 1] }, entriesOf([1, 1, 1], 2)));
  t.is(two.node.lastIndex, last);
  t.is(two.lead, 1);
  const [refusal, ...rest] = answersOf(two, voteOf(3, 2, 1, [99, 99]));
  t.deepEqual([refusal?.reject, refusal?.term, rest], [true, two.node.term, []]);
});

test('§5.2 servers start up as followers', (t) => {
  const group = new TestGroup(3, plain);
  t.deepEqual(
    group.replicas.map(({ node }) => node.role),
    [Role.follower, Role.follower, Role.follower],
  );
});

test('§5.2 a leader sends heartbeats to all followers', (t) => {
  const group = new TestGroup(5, { ...plain, heartbeatTicks: 3 });
  const one = group.elect(1);
  one.tick(2);
  one.run();
  t.deepEqual(one.sent, []);
  one.tick();
  one.run();
  t.deepEqual(
    one.sent.map(({ kind, to }) => [kind, to]),
    [2, 3, 4, 5].map((id) => [MessageKind.heartbeat, id]),
  );
});

test('§5.2 a follower that hears nothing for an election timeout campaigns: term, own vote, requests', (t) => {
  const group = new TestGroup(3, plain);
  const one = group.replica(1);
  const { electionTimeoutTicks, term } = one.node.status();
  one.tick(electionTimeoutTicks - 1);
  t.is(one.node.role, Role.follower);
  one.tick();
  one.run();
  const status = one.node.status();
  t.deepEqual([status.role, status.term, status.vote], [Role.candidate, term + 1, 1]);
  t.deepEqual(
    one.sent.map(({ kind, to, term: asked }) => [kind, to, asked]),
    [2, 3].map((id) => [MessageKind.vote, id, term + 1]),
  );
});

test('§5.2 a follower that hears from its leader remains one', (t) => {
  const group = new TestGroup(2, plain);
  group.elect(1);
  const two = group.replica(2);
  for (let times = 0; times < 20; times += 1) {
    two.tick(9);
    answersOf(two, new Message(MessageKind.heartbeat, 1, 2, two.node.term));
    t.is(two.node.role, Role.follower);
  }
});

for (const [size, granted, refused, role] of [
  [1, 0, 0, Role.leader],
  [3, 1, 0, Role.leader],
  [3, 0, 1, Role.candidate],
  [3, 0, 2, Role.follower],
  [5, 1, 1, Role.candidate],
  [5, 2, 0, Role.leader],
  [5, 2, 2, Role.leader],
  [5, 1, 3, Role.follower],
  [4, 1, 0, Role.candidate],
  [4, 2, 0, Role.leader],
] as const) {
  test(`§5.2 of ${size}, ${granted} more votes and ${refused} refusals make role ${role}`, (t) => {
    const group = new TestGroup(size, plain);
    const one = group.replica(1);
    one.node.campaign();
    one.run();
    for (let at = 0; at < granted + refused; at += 1) {
      one.node.step(voteAnswer(one, 2 + at, at < granted));
    }
    t.is(one.node.role, role);
  });
}

test('§5.2 a server votes for one candidate a term, first come first served, and says so again', (t) => {
  const group = new TestGroup(3, plain);
  const one = group.replica(1);
  const said = (from: number): (boolean | undefined)[] =>
    answersOf(one, voteOf(from, 1, 5, [1, 1])).map(({ reject }) => reject);
  t.deepEqual([said(2), said(3), said(2)], [[false], [true], [false]]);
});

test('§5.2 a candidate that hears a leader of its term or a later one becomes a follower', (t) => {
  for (const later of [0, 1]) {
    const group = new TestGroup(3, plain);
    const one = group.replica(1);
    one.node.campaign();
    one.run();
    const term = one.node.term + later;
    answersOf(one, appendOf({ from: 2, to: 1, term, previous: [1, 1] }));
    t.deepEqual([one.node.role, one.lead, one.node.term], [Role.follower, 2, term]);
  }
});

test('§5.2 a candidate that hears a leader of an earlier term continues', (t) => {
  const group = new TestGroup(3, plain);
  const one = group.replica(1);
  one.node.campaign();
  one.run();
  answersOf(one, appendOf({ from: 2, to: 1, term: one.node.term - 1, previous: [1, 1] }));
  t.is(one.node.role, Role.candidate);
});

test('§5.2 a candidate that neither wins nor loses begins another election', (t) => {
  const group = new TestGroup(3, plain);
  const one = group.replica(1);
  one.node.campaign();
  one.run();
  const { term, electionTimeoutTicks } = one.node.status();
  one.tick(electionTimeoutTicks);
  t.deepEqual([one.node.role, one.node.term], [Role.candidate, term + 1]);
});

test('§5.2 votes for one candidate each decide nothing, and a later election does', (t) => {
  const group = new TestGroup(3, plain);
  group.cut.add(3);
  for (const id of [1, 2]) group.replica(id).node.campaign();
  group.settle();
  t.deepEqual(group.leaders(), []);
  group.cut.clear();
  group.tick(100);
  t.is(group.leaders().length, 1);
});

test('§5.3 a leader appends a command to its log and sends it to all in parallel', (t) => {
  const group = new TestGroup(3, plain);
  const one = group.elect(1);
  const last = one.node.lastIndex;
  group.propose(1, 'a');
  one.takeReady();
  t.is(one.node.lastIndex, last + 1);
  t.is(one.appends.length, 1, 'its own write is under way meanwhile');
  t.deepEqual(
    one.sent.map(({ kind, to, index, entries }) => [kind, to, index, entries.length]),
    [2, 3].map((id) => [MessageKind.append, id, last, 1]),
  );
});

for (const [size, answering] of [
  [3, 1],
  [5, 2],
  [4, 2],
] as const) {
  test(`§5.3 of ${size}, an entry on ${answering} others is committed and applied, on fewer it is not`, (t) => {
    const group = new TestGroup(size, plain);
    const one = group.elect(1);
    const others = group.replicas.map(({ id }) => id).filter((id) => id !== 1);
    group.propose(1, 'a');
    exchange(group, 1, ...others.slice(0, answering - 1));
    t.deepEqual(group.texts(1), []);
    group.tick(1);
    exchange(group, 1, ...others.slice(0, answering));
    t.deepEqual(group.texts(1), ['a']);
    t.is(one.node.role, Role.leader);
  });
}

test('§5.3 a commit takes all earlier entries of the log along, those of other leaders too', (t) => {
  const group = groupOf([[2], [], []]);
  group.elect(1);
  t.deepEqual(group.texts(1), ['2']);
  t.deepEqual(group.texts(3), ['2']);
});

test('§5.3 a follower applies an entry once it learns that it is committed', (t) => {
  const group = new TestGroup(3, plain);
  const two = group.replica(2);
  const previous = [1, 1] as const;
  answersOf(two, appendOf({ from: 1, to: 2, term: 2, previous }, entriesOf([2, 2], 2), 1));
  t.deepEqual(group.texts(2), []);
  answersOf(two, appendOf({ from: 1, to: 2, term: 2, previous: [2, 3] }, [], 2));
  t.deepEqual(group.texts(2), ['2']);
  answersOf(two, appendOf({ from: 1, to: 2, term: 2, previous: [2, 3] }, [], 3));
  t.deepEqual(group.texts(2), ['2', '2']);
});

test('§5.3 a follower commits no more than what agrees with its leader', (t) => {
  const group = groupOf([[2], [3, 3, 3], []]);
  const two = group.replica(2);
  answersOf(two, appendOf({ from: 1, to: 2, term: 4, previous: [1, 1] }, [], 3));
  t.is(two.node.status().committed, 1, 'entries after the append may be others');
});

test('§5.3 a leader tries followers again until they have everything', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  group.cut.add(3);
  for (const text of ['a', 'b', 'c']) group.propose(1, text);
  group.tick(30);
  t.deepEqual(group.texts(1), ['a', 'b', 'c'], 'without waiting for it');
  group.replica(3).restart();
  group.cut.clear();
  group.tick(3);
  t.deepEqual(group.texts(3), ['a', 'b', 'c']);
});

for (const [term, index, accepted] of [
  [1, 1, true],
  [2, 3, true],
  [3, 3, false],
  [1, 3, false],
  [2, 4, false],
] as const) {
  test(`§5.3 entries after (${term}, ${index}) are ${accepted ? 'taken' : 'refused'} by a log of terms 1, 2, 2`, (t) => {
    const group = groupOf([[], [2, 2], []]);
    const two = group.replica(2);
    const fields = { from: 1, to: 2, term: 5, previous: [term, index] } as const;
    const [answer] = answersOf(two, appendOf(fields, entriesOf([5], index + 1)));
    t.is(answer?.kind, MessageKind.appendAnswer);
    t.is(answer?.reject, !accepted);
    t.is(two.storage.term(index + 1) === 5, accepted);
  });
}

test('§5.3 an entry that conflicts is deleted with all that follow it', (t) => {
  const group = groupOf([[], [2, 2, 2, 2], []]);
  const two = group.replica(2);
  answersOf(two, appendOf({ from: 1, to: 2, term: 5, previous: [2, 2] }, entriesOf([3], 3)));
  t.deepEqual(two.terms(), [2, 3]);
});

test('§5.3 entries that are there already stay, and those after them: the message may be an old one', (t) => {
  const group = groupOf([[], [2, 2, 2, 2], []]);
  const two = group.replica(2);
  const previous = [1, 1] as const;
  const [answer] = answersOf(
    two,
    appendOf({ from: 1, to: 2, term: 5, previous }, entriesOf([2, 2], 2)),
  );
  t.deepEqual(two.terms(), [2, 2, 2, 2]);
  t.is(answer?.index, 3, 'and only what the message had is acknowledged');
});

/** Figure 7, after the entry that all logs here begin with. */
const figure7 = [
  [1, 1, 4, 4, 5, 5, 6, 6, 6],
  [1, 1, 4, 4, 5, 5, 6, 6],
  [1, 1, 4],
  [1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
  [1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
  [1, 1, 4, 4, 4, 4],
  [1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
] as const;

for (const [at, log] of figure7.entries()) {
  test(`§5.3 a leader brings log ${at} of figure 7 to its own`, (t) => {
    const group = groupOf([figure7[0], log, []], plain);
    const [one, two] = [group.replica(1), group.replica(2)];
    // The leader of the figure is that of term 8.
    one.storage.setHardState({ term: 7, vote: 0, commit: 1 });
    one.restart();
    one.node.campaign();
    group.settle();
    group.tick(3);
    t.is(one.node.role, Role.leader);
    t.deepEqual(two.terms(), one.terms());
    t.deepEqual(one.terms(), [...figure7[0], 8]);
  });
}

test('§5.3 a leader finds where logs part in a round trip a term, not an entry', (t) => {
  const group = groupOf([[...Array<number>(50).fill(2), 5], Array<number>(50).fill(3), []]);
  const one = group.replica(1);
  group.cut.add(2);
  group.elect(1);
  group.cut.clear();
  let probes = 0;
  for (let round = 0; round < 30; round += 1) {
    one.tick();
    for (const replica of group.replicas) replica.run();
    probes += one.sent.filter(({ to, kind }) => to === 2 && kind === MessageKind.append).length;
    group.collect();
    while (group.deliver());
  }
  group.settle();
  t.true(probes <= 12, `${probes} appends where 50 entries differ`);
  t.deepEqual(group.replica(2).terms(), one.terms());
});

test('§5.3 a leader deletes and overwrites nothing in its own log', (t) => {
  const group = groupOf([[2, 2, 3], [2, 2, 2, 2, 2], []]);
  const one = group.elect(1);
  const before = one.terms();
  answersOf(one, appendOf({ from: 2, to: 1, term: 2, previous: [1, 1] }, entriesOf([2, 2, 2], 2)));
  answersOf(one, appendOf({ from: 1, to: 1, term: one.node.term, previous: [1, 1] }));
  group.settle();
  t.deepEqual(one.terms(), before);
  t.deepEqual(group.replica(2).terms(), before);
});

for (const [last, granted] of [
  [[2, 3], true],
  [[2, 4], true],
  [[3, 2], true],
  [[2, 2], false],
  [[1, 9], false],
] as const) {
  test(`§5.4.1 a voter with a log that ends at (2, 3) ${granted ? 'votes for' : 'denies'} one that ends at (${last.join(', ')})`, (t) => {
    const group = groupOf([[2, 2], [], []]);
    const [answer] = answersOf(group.replica(1), voteOf(2, 1, 9, last));
    t.is(answer?.reject, !granted);
  });
}

test('§5.4.1 a candidate’s request says how its log ends', (t) => {
  const group = groupOf([[2, 2, 4], [], []]);
  const one = group.replica(1);
  one.node.campaign();
  one.run();
  t.deepEqual(
    one.sent.map(({ logTerm, index }) => [logTerm, index]),
    [
      [4, 4],
      [4, 4],
    ],
  );
});

test('§5.4.2 an entry of an earlier term is not committed by counting replicas (figure 8)', (t) => {
  // (c): S1, of term 4, has brought its entry of term 2 to a majority; S5 has one of term 3.
  const group = groupOf([[2], [2], [], [], [3]], plain);
  const one = group.replica(1);
  one.storage.setHardState({ term: 3, vote: 0, commit: 1 });
  one.restart();
  one.node.campaign();
  one.run();
  for (const id of [2, 3]) one.node.step(voteAnswer(one, id, true));
  t.is(one.node.role, Role.leader);
  for (const id of [2, 3]) {
    const answer = new Message(MessageKind.appendAnswer, id, 1, one.node.term);
    answer.index = 2;
    one.node.step(answer);
  }
  one.run();
  t.is(one.node.status().committed, 1, 'three of five have it, and S5 may still replace it');
  // (e): an entry of its own term on a majority commits both.
  for (const id of [2, 3]) {
    const answer = new Message(MessageKind.appendAnswer, id, 1, one.node.term);
    answer.index = 3;
    one.node.step(answer);
  }
  t.is(one.node.status().committed, 3);
});

test('§5.5 an append that comes twice changes nothing', (t) => {
  const group = new TestGroup(3, plain);
  const two = group.replica(2);
  const previous = [1, 1] as const;
  const message = appendOf({ from: 1, to: 2, term: 2, previous }, entriesOf([2, 2], 2), 3);
  const [first] = answersOf(two, message);
  const [second] = answersOf(two, message);
  t.is(first?.index, 3);
  t.is(second?.index, 3);
  t.deepEqual(two.terms(), [2, 2]);
  t.deepEqual(group.texts(2), ['2', '2']);
});

test('§6 a server that is caught up as a learner becomes a voter without a gap', (t) => {
  const group = new TestGroup(1, plain);
  const one = group.elect(1);
  group.propose(1, 'a');
  group.settle();
  group.join(2);
  one.node.proposeChange({
    transition: 0,
    steps: [{ kind: 1, replica: 2 }],
    context: noBytes,
  });
  group.settle();
  group.tick(2);
  t.deepEqual(group.texts(2), ['a']);
  one.node.proposeChange({
    transition: 0,
    steps: [{ kind: 0, replica: 2 }],
    context: noBytes,
  });
  group.settle();
  group.propose(1, 'b');
  group.settle();
  t.deepEqual(group.texts(2), ['a', 'b']);
  t.deepEqual(group.replica(2).configuration, configurationOf([1, 2]));
});

test('§8 a leader begins its term with an entry without content, and so learns what is committed', (t) => {
  const group = groupOf([[2, 2], [2, 2], []]);
  const one = group.replica(1);
  t.is(one.node.status().committed, 1);
  group.elect(1);
  const [last] = one.storage.entries(4, 5, 1);
  t.is(last?.payload.length, 0);
  t.is(one.node.status().committed, 4);
});

test('thesis 3.8 a server’s term does not go back when it restarts', (t) => {
  const group = new TestGroup(3, plain);
  const one = group.replica(1);
  answersOf(one, appendOf({ from: 2, to: 1, term: 9, previous: [1, 1] }));
  one.restart();
  t.is(one.node.term, 9);
  const [refusal] = answersOf(one, voteOf(3, 1, 8, [99, 99]));
  t.deepEqual([refusal?.reject, refusal?.term], [true, 9]);
});

test('thesis 3.10 the target of a transfer campaigns at once, without waiting and without asking first', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  group.replica(1).node.transferLeader(2);
  exchange(group, 1);
  const two = group.replica(2);
  t.is(two.node.role, Role.follower);
  two.node.step(new Message(MessageKind.timeoutNow, 1, 2, two.node.term));
  two.run();
  t.is(two.node.role, Role.candidate);
  t.true(two.sent.every(({ kind, forced }) => kind === MessageKind.vote && forced));
});

test('thesis 4.2.3 a server that was removed and does not know it disturbs nobody', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.cut.add(3);
  one.node.proposeChange({
    transition: 0,
    steps: [{ kind: 2, replica: 3 }],
    context: noBytes,
  });
  group.settle();
  const { term } = one.node;
  group.cut.clear();
  // Nobody tells it any more.
  for (let times = 0; times < 100; times += 1) {
    group.replica(3).tick();
    group.tick(1);
  }
  t.is(one.node.role, Role.leader);
  t.is(one.node.term, term);
});

test('thesis 6.2 a client’s wish at a follower without a leader is refused, and never queued', (t) => {
  const group = new TestGroup(3, plain);
  t.is(group.propose(1, 'a'), 'no-leader');
  group.replica(1).node.campaign();
  t.is(group.propose(1, 'b'), 'no-leader');
  group.settle();
  t.deepEqual(group.texts(1), []);
});
