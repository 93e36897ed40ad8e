import test from 'ava';
import type { LogIndex } from '../base/ids.ts';
import { StepKind, Transition } from '../raft/change.ts';
import { configurationOf } from '../raft/configuration.ts';
import { Message, MessageKind, noBytes } from '../raft/message.ts';
import { emptyBatch } from './testing-groups.ts';
import { wordMembers } from './testing-word-group.ts';

const payload = new TextEncoder().encode('1 word');

test('a commit index alone is given to no disk, and ends with the write before it', (t) => {
  const members = wordMembers(1);
  const { replica } = members.lead(1);
  const leader = members.of(1);
  leader.isDiskHeld = true;
  const first = replica.propose(payload);
  t.is(leader.collect().entries.length, 1);
  replica.propose(payload);
  leader.collect();
  t.is(leader.batches.length, 2);
  leader.write();
  t.deepEqual(leader.collect(), emptyBatch(), 'the first is committed: nobody waits for that');
  t.is(replica.committed, first);
  const idle = emptyBatch();
  t.true(replica.takeUnwritten(idle), 'it is written with what comes next, or in time');
  t.is(idle.hardStates[0]?.commit, first);
  t.false(replica.takeUnwritten(emptyBatch()), 'once');
  // The core wants writes to end in order: the idle one has waited for this one.
  leader.write();
  leader.collect();
  t.is(replica.committed, (first + 1) as LogIndex);
  replica.verify();
});

test('a commit index goes with the next entries', (t) => {
  const members = wordMembers(1);
  const { replica } = members.lead(1);
  const leader = members.of(1);
  const first = replica.propose(payload);
  leader.collect();
  leader.write();
  leader.collect();
  replica.propose(payload);
  const batch = leader.collect();
  t.deepEqual(
    batch.hardStates.map(({ commit }) => commit),
    [first],
  );
  t.false(replica.takeUnwritten(emptyBatch()));
});

test('a term is never idle, with nobody who waits for it', (t) => {
  const members = wordMembers(3);
  members.lead(1);
  const follower = members.of(2);
  // The first takes the vote of an earlier term away, the second changes the term alone.
  for (const term of [9, 10]) {
    // A refusal is no reason to answer anything.
    const refusal = new Message(MessageKind.preVoteAnswer, 3, 2, term);
    refusal.reject = true;
    follower.replica.step(refusal);
    const batch = follower.collect();
    t.deepEqual(follower.sent, []);
    t.is(batch.works.length, 1);
    t.is(batch.hardStates[0]?.term, term as never);
    follower.write();
  }
});

/** A follower that has the leader's next entry, and the message by which it hears that it is committed. */
function withCommitToHear(isDiskHeld: boolean) {
  const members = wordMembers(3);
  const leader = members.lead(1);
  const follower = members.of(2);
  const index = (leader.replica.lastIndex + 1) as LogIndex;
  members.loses = ({ to, commit }) => to === 2 && commit >= index;
  follower.isDiskHeld = isDiskHeld;
  leader.replica.propose(payload);
  members.exchange();
  const append = new Message(MessageKind.append, 1, 2, leader.replica.term);
  append.index = index;
  append.logTerm = leader.replica.term;
  append.commit = index;
  return { follower, index, append };
}

test('an acknowledgement without entries is no write: what it tells of is durable', (t) => {
  const { follower, index, append } = withCommitToHear(false);
  t.true(follower.replica.committed < index);
  follower.replica.step(append);
  t.deepEqual(follower.collect(), emptyBatch());
  t.deepEqual(
    follower.sent.map(({ kind, index: upTo }) => [kind, upTo]),
    [[MessageKind.appendAnswer, index as number]],
  );
  const idle = emptyBatch();
  t.true(follower.replica.takeUnwritten(idle), 'the commit index is written in time');
  t.is(idle.hardStates[0]?.commit, index);
});

test('an acknowledgement without entries waits for the write of what it tells of', (t) => {
  const { follower, append } = withCommitToHear(true);
  const writes = follower.batches.length;
  follower.replica.step(append);
  t.deepEqual(follower.collect(), emptyBatch(), 'that write is under way');
  t.is(follower.batches.length, writes);
  t.deepEqual(follower.sent, []);
  follower.write();
  follower.collect();
  t.deepEqual(
    follower.sent.map(({ kind }) => kind),
    [MessageKind.appendAnswer, MessageKind.appendAnswer],
  );
});

test('a vote leaves when it is durable', (t) => {
  const members = wordMembers(3);
  const voter = members.of(2);
  voter.isDiskHeld = true;
  const request = new Message(MessageKind.vote, 1, 2, 7);
  request.index = 3;
  request.logTerm = 1;
  voter.replica.step(request);
  const batch = voter.collect();
  t.is(batch.hardStates[0]?.vote, 1);
  t.deepEqual(voter.sent, []);
  voter.write();
  voter.collect();
  t.deepEqual(
    voter.sent.map(({ kind, reject }) => [kind, reject]),
    [[MessageKind.voteAnswer, false]],
  );
});

test('what a write under way will make durable needs no write of its own', (t) => {
  const members = wordMembers(3);
  const leader = members.lead(1);
  leader.isDiskHeld = true;
  const index = leader.replica.propose(payload);
  members.exchange();
  members.tick(1);
  t.is(leader.replica.committed, index, 'a majority has it, the leader’s own disk not yet');
  t.is(leader.batches.length, 1, 'the commit index waits behind the entry, and for no write');
  t.true(leader.replica.takeUnwritten(emptyBatch()));
  leader.write();
  leader.isDiskHeld = false;
  members.exchange();
  t.is(leader.group.appliedIndex, index);
});

test('nothing is applied before it is durable here, whoever else has it', (t) => {
  const members = wordMembers(3);
  const leader = members.lead(1);
  leader.isDiskHeld = true;
  leader.group.propose('early', 0);
  members.exchange();
  members.tick(1);
  t.true(members.of(2).group.words.includes('early'));
  t.false(leader.group.words.includes('early'));
});

test('alone nobody can ask for what is applied; with a learner entries stay', (t) => {
  const members = wordMembers(1);
  const leader = members.lead(1);
  for (let each = 0; each < 3; each += 1) leader.group.propose('before', 0);
  members.exchange();
  t.false(leader.replica.wantsSnapshot);
  const learner = members.join(2);
  members.change(1, { kind: StepKind.learner, replica: 2 });
  members.tick(3);
  t.false(leader.replica.isAlone);
  t.true(leader.replica.wantsSnapshot, 'the entries before are gone');
  // The cut that it wants; entries after it stay for the learner, applied or not.
  const { appliedIndex, appliedTerm } = leader.group;
  const configuration = configurationOf([1], [2]);
  leader.replica.snapshotCut({
    index: appliedIndex,
    term: appliedTerm,
    configuration,
    payload: noBytes,
  });
  t.false(leader.replica.wantsSnapshot);
  members.loses = ({ to, kind }) => to === 2 && kind === MessageKind.append;
  leader.group.propose('after', 0);
  leader.group.propose('after', 0);
  members.exchange();
  t.is(leader.group.words.filter((word) => word === 'after').length, 2);
  members.tick(3);
  installAt(learner, ['all that was']);
  members.loses = () => false;
  members.tick(5);
  t.deepEqual(learner.group.words, ['all that was', 'after', 'after']);
  t.false(leader.replica.wantsSnapshot);
});

/** The snapshot that a member's core wants is its state, and durable. */
function installAt(
  member: ReturnType<ReturnType<typeof wordMembers>['of']>,
  words: readonly string[],
): void {
  const index = member.replica.installation?.snapshot.index as LogIndex;
  const past = { tailBytes: 0, snapshotBytes: 1, appliedTerm: 2 as never };
  member.group.replaceState(words, index, past);
  member.replica.installed();
}

test('a leader that is alone is sure at once; one of three asks a majority first (L3)', (t) => {
  const alone = wordMembers(1);
  let runs = 0;
  const run = (): void => {
    runs += 1;
  };
  alone.lead(1).replica.confirm(run);
  t.is(runs, 1);
  const members = wordMembers(3);
  const { replica } = members.lead(1);
  replica.confirm(run);
  t.is(runs, 1);
  members.cut.add(2).add(3);
  members.exchange();
  members.tick(2);
  t.is(runs, 1, 'nobody has answered');
  members.cut.delete(3);
  members.tick(2);
  t.is(runs, 2, 'one of two others is enough');
});

test('answers to heartbeats sent before a read was asked do not confirm it (L3)', (t) => {
  const members = wordMembers(3);
  const { replica } = members.lead(1);
  const old: Message[] = [];
  members.loses = (message) => {
    if (message.to !== 1 || message.kind !== MessageKind.heartbeatAnswer) return false;
    old.push(message);
    return true;
  };
  members.tick(1);
  t.true(old.length > 0);
  let runs = 0;
  replica.confirm(() => (runs += 1));
  for (const message of old.splice(0)) replica.step(message);
  members.of(1).collect();
  t.is(runs, 0);
});

test('a snapshot ends what was handed out before it and is not applied', (t) => {
  const members = wordMembers(3);
  const leader = members.lead(1);
  const follower = members.of(3);
  members.tick(1);
  follower.isApplyHeld = true;
  for (const word of ['a', 'b']) leader.group.propose(word, 0);
  members.exchange();
  members.tick(1);
  t.true(follower.replica.hasCommitted);
  members.cut.add(3);
  for (const word of ['c', 'd']) leader.group.propose(word, 0);
  members.exchange();
  const { appliedIndex, appliedTerm } = leader.group;
  const message = new Message(MessageKind.snapshot, 1, 3, leader.replica.term);
  const configuration = configurationOf([1, 2, 3]);
  message.snapshot = { index: appliedIndex, term: appliedTerm, configuration, payload: noBytes };
  follower.replica.step(message);
  const batch = follower.collect();
  t.deepEqual(batch.works, [], 'its write is not the turn’s');
  t.is(follower.replica.installation?.snapshot, message.snapshot);
  const words = leader.group.words.slice();
  installAt(follower, words);
  t.is(follower.replica.installation, undefined);
  t.false(follower.replica.hasCommitted, 'a and b are in the snapshot');
  follower.isApplyHeld = false;
  members.cut.clear();
  leader.group.propose('e', 0);
  members.exchange();
  members.tick(2);
  t.deepEqual(follower.group.words, [...words, 'e']);
  t.is(follower.group.installedCount, 1);
  follower.replica.verify();
});

test('the best successor is the voter with most of the log, and never a learner', (t) => {
  for (const [ahead, behind] of [
    [2, 3],
    [3, 2],
  ] as const) {
    const members = wordMembers(3);
    const { replica } = members.lead(1);
    members.loses = ({ to, from }) => to === behind || from === behind;
    replica.propose(payload);
    members.exchange();
    t.is(replica.bestSuccessor(), ahead);
    const steps = [{ kind: StepKind.learner, replica: ahead }];
    replica.proposeChange({ transition: Transition.auto, steps, context: noBytes });
    members.loses = () => false;
    members.exchange();
    t.is(replica.bestSuccessor(), behind);
  }
  t.is(wordMembers(1).lead(1).replica.bestSuccessor(), undefined);
});
