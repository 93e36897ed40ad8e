import test from 'ava';
import { StepKind, Transition } from './change.ts';
import { Entry, EntryKind, Message, MessageKind, noBytes } from './message.ts';
import { Role } from './state.ts';
import { TestGroup, voteAnswer } from './testing-group.ts';

/** A vote request as a replica of that log would send it. */
function request(
  kind: typeof MessageKind.vote | typeof MessageKind.preVote,
  from: number,
  to: number,
  term: number,
  last: readonly [number, number],
): Message {
  const message = new Message(kind, from, to, term);
  message.logTerm = last[0];
  message.index = last[1];
  return message;
}

test('a second answer of one voter does not count', (t) => {
  const group = new TestGroup(5, { preVote: false });
  const one = group.replica(1);
  one.node.campaign();
  one.run();
  for (let times = 0; times < 4; times += 1) one.node.step(voteAnswer(one, 2, true));
  t.is(one.node.role, Role.candidate);
  one.node.step(voteAnswer(one, 3, true));
  t.is(one.node.role, Role.leader);
});

test('a consent after a refusal of the same voter does not count', (t) => {
  const group = new TestGroup(3, { preVote: false });
  const one = group.replica(1);
  one.node.campaign();
  one.run();
  one.node.step(voteAnswer(one, 2, false));
  one.node.step(voteAnswer(one, 2, true));
  t.is(one.node.role, Role.candidate);
});

test('an answer to a pre-vote is no vote', (t) => {
  const group = new TestGroup(3);
  const one = group.replica(1);
  one.node.campaign();
  one.run();
  t.is(one.node.role, Role.preCandidate);
  const answers = [2, 3].map((id) => voteAnswer(one, id, true));
  for (const answer of answers) {
    one.node.step(answer);
    one.run();
  }
  t.is(one.node.role, Role.candidate);
});

test('a late consent to the term that a pre-candidate is in does not count for the next', (t) => {
  const group = new TestGroup(3);
  const one = group.replica(1);
  one.node.campaign();
  one.run();
  const late = voteAnswer(one, 2, true);
  const append = new Message(MessageKind.append, 3, 1, late.term);
  [append.logTerm, append.index] = [1, 1];
  one.node.step(append);
  one.run();
  one.node.campaign();
  one.run();
  t.deepEqual([one.node.role, one.node.term], [Role.preCandidate, late.term]);
  one.node.step(late);
  t.is(one.node.role, Role.preCandidate);
  one.node.step(voteAnswer(one, 2, true));
  t.is(one.node.role, Role.candidate);
});

test('a vote that was asked for in an earlier life does not count', (t) => {
  const group = new TestGroup(3, { preVote: false });
  const one = group.replica(1);
  // The request says how long the log is, of which the last part is not durable, nor is the term.
  const append = new Message(MessageKind.append, 3, 1, 1);
  [append.logTerm, append.index] = [1, 1];
  append.entries = [new Entry(1, 2, EntryKind.normal, noBytes)];
  one.node.step(append);
  one.takeReady();
  one.sent = [];
  one.node.campaign();
  one.takeReady();
  const answer = voteAnswer(one, 2, true);
  t.is(one.sent.find(({ kind }) => kind === MessageKind.vote)?.index, 2);
  one.restart();
  t.is(one.node.lastIndex, 1);
  one.node.campaign();
  one.run();
  t.is(one.node.term, answer.term, 'it campaigns in the same term once more');
  one.node.step(answer);
  t.is(one.node.role, Role.candidate);
  one.node.step(voteAnswer(one, 2, true));
  t.is(one.node.role, Role.leader);
});

test('nobody leads before its own vote is durable, however many others have voted for it', (t) => {
  const group = new TestGroup(5, { preVote: false });
  const one = group.replica(1);
  one.node.campaign();
  one.takeReady();
  for (const id of [2, 3, 4, 5]) one.node.step(voteAnswer(one, id, true));
  t.is(one.node.role, Role.candidate, 'after a crash it might lead this term a second time');
  one.finishAppend();
  t.is(one.node.role, Role.leader);
});

test('a leader of an earlier term learns of the later one, whatever votes are checked by', (t) => {
  for (const checked of [true, false]) {
    const group = new TestGroup(3, { preVote: false, checkQuorum: checked });
    const one = group.elect(1);
    group.cut.add(3);
    group.replica(3).node.campaign();
    group.settle();
    group.cut.clear();
    t.true(one.node.term < group.replica(3).node.term);
    one.tick();
    group.settle();
    t.is(one.node.term, group.replica(3).node.term);
    t.is(one.node.role, Role.follower);
  }
});

test('a candidate of an earlier term learns the later one of a voter that does not know it', (t) => {
  // Two counts by another configuration, so it never tells one its term by asking for a vote.
  const group = new TestGroup(2, { preVote: false });
  const [one, two] = [group.replica(1), group.replica(2)];
  for (let times = 0; times < 3; times += 1) {
    two.node.campaign();
    two.run();
  }
  two.sent = [];
  one.node.campaign();
  group.settle();
  t.is(one.node.term, two.node.term);
  one.node.campaign();
  group.settle();
  t.is(one.node.role, Role.leader);
});

test('a pre-vote moves neither terms nor votes (thesis 9.6)', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  group.cut.add(1);
  const [two, three] = [group.replica(2), group.replica(3)];
  // Started again, three knows of no leader, and so considers the request.
  three.restart();
  const before = three.node.status();
  three.node.step(request(MessageKind.preVote, 2, 3, before.term + 7, [9, 99]));
  three.run();
  const [answer] = three.sent;
  t.deepEqual([answer?.kind, answer?.reject], [MessageKind.preVoteAnswer, false]);
  t.is(answer?.term, before.term + 7, 'the term that was asked for, or the answer would be void');
  const after = three.node.status();
  t.deepEqual([after.term, after.vote], [before.term, before.vote]);
  two.node.campaign();
  two.run();
  t.is(two.node.term, before.term);
});

test('who was cut off and comes back does not depose its leader', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  const { term } = one.node;
  group.cut.add(3);
  group.tick(100);
  t.is(group.replica(3).node.term, term, 'it asked, and never began a term');
  group.cut.clear();
  group.tick(20);
  t.deepEqual(
    group.leaders().map(({ id }) => id),
    [1],
  );
  t.is(one.node.term, term);
  t.is(group.replica(3).lead, 1);
});

test('without pre-vote, one that left its group behind in terms is taken in again', (t) => {
  const group = new TestGroup(3, { preVote: false, checkQuorum: true });
  const one = group.elect(1);
  const { term } = one.node;
  group.cut.add(3);
  group.tick(100);
  t.true(group.replica(3).node.term > term);
  group.cut.clear();
  group.tick(60);
  t.is(group.leaders().length, 1);
  const lead = group.leaders()[0]?.id;
  t.deepEqual(
    group.replicas.map((replica) => replica.lead),
    [lead, lead, lead],
  );
});

test('pre-vote does not get stuck between a longer log and a higher term', (t) => {
  // Three campaigned alone before it had pre-vote: two denies it for its log, and is itself of an
  // earlier term than three. Only a refusal tells two so.
  const group = new TestGroup(3);
  group.elect(1);
  group.cut.add(3);
  group.propose(1, 'a');
  group.settle();
  group.replica(3).storage.setHardState({ term: 50, vote: 3, commit: 1 });
  group.replica(3).restart();
  group.cut.clear();
  group.cut.add(1);
  group.tick(200);
  t.is(group.replica(2).node.role, Role.leader);
  t.true(group.replica(2).node.term > 50);
  t.deepEqual(group.texts(3), ['a']);
});

test('who hears of a leader helps nobody to depose it (thesis 4.2.3)', (t) => {
  const group = new TestGroup(3, { preVote: false });
  const one = group.elect(1);
  const { term } = one.node;
  group.replica(2).node.step(request(MessageKind.vote, 3, 2, term + 1, [99, 99]));
  group.replica(2).run();
  t.deepEqual(group.replica(2).sent, []);
  t.is(group.replica(2).node.term, term);
});

test('a leader that hears of no majority steps down within two election timeouts (thesis 6.2)', (t) => {
  const group = new TestGroup(5);
  const one = group.elect(1);
  group.cut.add(2).add(3).add(4);
  group.tick(20);
  t.is(one.node.role, Role.follower);
  t.is(group.propose(1, 'lost'), 'no-leader');
});

test('a leader that hears of a majority stays', (t) => {
  const group = new TestGroup(5);
  const one = group.elect(1);
  group.cut.add(2).add(3);
  group.tick(50);
  t.is(one.node.role, Role.leader);
});

test('election timeouts are drawn anew, between one and two times the least', (t) => {
  const group = new TestGroup(1, { electionTicks: 10, preVote: false });
  const one = group.replica(1);
  const drawn = new Set<number>();
  for (let times = 0; times < 300; times += 1) {
    one.restart();
    const { electionTimeoutTicks } = one.node.status();
    t.true(electionTimeoutTicks >= 10 && electionTimeoutTicks < 20);
    drawn.add(electionTimeoutTicks);
  }
  t.is(drawn.size, 10);
});

test('a leader hands over to whoever has all there is, at once', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  t.is(group.replica(1).node.transferLeader(2), 'begun');
  group.settle();
  t.deepEqual(
    group.leaders().map(({ id }) => id),
    [2],
  );
});

test('a follower passes the wish for another leader on', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  t.is(group.replica(3).node.transferLeader(2), 'forwarded');
  group.settle();
  t.is(group.replica(2).node.role, Role.leader);
});

test('a leader that hands over takes no proposals, until an election timeout has passed (thesis 3.10)', (t) => {
  const group = new TestGroup(3);
  const one = group.elect(1);
  group.cut.add(2);
  one.node.transferLeader(2);
  t.is(group.propose(1, 'a'), 'transferring');
  group.tick(9);
  t.is(group.propose(1, 'a'), 'transferring');
  group.tick(1);
  t.is(group.propose(1, 'a'), 'appended');
});

test('a leader first sends what the next one lacks', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  group.cut.add(2);
  group.propose(1, 'a');
  group.settle();
  group.cut.clear();
  group.bag = [];
  group.replica(1).node.transferLeader(2);
  group.tick(3);
  t.is(group.replica(2).node.role, Role.leader);
  t.deepEqual(group.texts(2), ['a']);
});

test('neither a learner nor a stranger is handed the leadership', (t) => {
  const group = new TestGroup(1);
  const one = group.elect(1);
  group.join(2);
  one.node.proposeChange({
    transition: Transition.auto,
    steps: [{ kind: StepKind.learner, replica: 2 }],
    context: noBytes,
  });
  group.settle();
  t.is(one.node.transferLeader(2), 'not-a-voter');
  t.is(one.node.transferLeader(9), 'not-a-voter');
  t.is(one.node.transferLeader(1), 'leading');
  t.is(group.propose(1, 'a'), 'appended');
});

test('a follower that forgets its leader may vote at once', (t) => {
  const group = new TestGroup(3);
  group.elect(1);
  group.cut.add(1);
  for (const id of [2, 3]) group.replica(id).node.forgetLeader();
  t.is(group.replica(2).lead, 0);
  group.replica(2).node.campaign();
  group.settle();
  t.is(group.replica(2).node.role, Role.leader);
});

test('a replica without a group neither campaigns nor votes itself into one', (t) => {
  const group = new TestGroup(1);
  const stranger = group.join(7);
  t.is(stranger.node.campaign(), 'not-promotable');
  stranger.tick(1_000);
  t.is(stranger.node.term, 0);
});
