import test from 'ava';
import { handOverWaitMs } from '../base/limits.ts';
import { Message, MessageKind } from '../raft/message.ts';
import { emptyBatch } from './testing-groups.ts';
import { wordMembers } from './testing-word-group.ts';

/** Ticks within which a leader that nobody hears steps down, and another may be elected. */
const electionTicksMax = 25;

test('a leadership begins once a term, serves when its first entry is applied, and ends once', (t) => {
  const members = wordMembers(3);
  const { group, replica } = members.of(1);
  members.of(1).isApplyHeld = true;
  members.lead(1);
  t.deepEqual(group.leaderships, ['begin 2']);
  t.is(group.epoch, undefined, 'nothing is applied');
  members.of(1).isApplyHeld = false;
  members.tick(2);
  t.deepEqual(group.leaderships, ['begin 2', 'serve 2']);
  t.is(group.epoch, 2 as never);
  for (let again = 0; again < 3; again += 1) group.settleRole(0);
  replica.resign();
  group.settleRole(0);
  group.settleRole(0);
  t.deepEqual(group.leaderships, ['begin 2', 'serve 2', 'end']);
  t.is(group.epoch, undefined);
  t.false(group.takesWork);
});

test('a leadership ends with its term, also where the same replica leads in a later one', (t) => {
  const members = wordMembers(1);
  const { group, replica } = members.lead(1);
  replica.resign();
  replica.campaign();
  // Elected again before anybody looks at the group.
  for (let write = 0; write < 2; write += 1) {
    const batch = emptyBatch();
    replica.collect(batch);
    for (const { work } of batch.works) replica.written(work);
  }
  replica.collect(emptyBatch());
  t.true(replica.leads);
  group.settleRole(0);
  t.deepEqual(group.leaderships, ['begin 2', 'serve 2', 'end', 'begin 3']);
});

test('a leader that nobody hears serves nobody', (t) => {
  const members = wordMembers(3);
  const { group } = members.lead(1);
  members.cut.add(1);
  members.tick(electionTicksMax);
  t.deepEqual(group.leaderships, ['begin 2', 'serve 2', 'end']);
});

test('a leader decodes nothing of its own; everybody else decodes', (t) => {
  const members = wordMembers(3);
  const { group } = members.lead(1);
  for (const word of ['a', 'b', 'c']) group.propose(word, 0);
  t.is(group.inFlightEntries, 3);
  t.true(group.inFlightBytes > 0);
  members.exchange();
  members.tick(1);
  t.deepEqual(group.words, ['lead', 'a', 'b', 'c']);
  t.deepEqual(group.decoded, []);
  t.deepEqual([group.inFlightEntries, group.inFlightBytes], [0, 0]);
  t.deepEqual(members.of(2).group.words, ['lead', 'a', 'b', 'c']);
  t.deepEqual(members.of(2).group.decoded, ['lead', 'a', 'b', 'c']);
});

test('what a lost leadership proposed is not taken for what another put at its index', (t) => {
  const members = wordMembers(3);
  const { group } = members.lead(1);
  members.cut.add(1);
  for (const word of ['lost', 'lost', 'lost']) group.propose(word, 0);
  members.exchange();
  members.tick(electionTicksMax);
  t.is(group.inFlightEntries, 0);
  const other = members.all.find(({ replica }) => replica.leads);
  if (other === undefined) return t.fail('another is elected');
  other.group.propose('kept', 0);
  members.exchange();
  members.cut.clear();
  members.tick(electionTicksMax);
  for (const each of members.all) {
    t.false(each.group.words.includes('lost'), `replica ${each.id}`);
    t.is(each.group.words.filter((word) => word === 'kept').length, 1, `replica ${each.id}`);
  }
});

test('what an earlier leadership of one’s own left behind is decoded when it is committed after all', (t) => {
  const members = wordMembers(3);
  const { group, replica } = members.lead(1);
  members.cut.add(1);
  group.propose('late', 0);
  members.exchange();
  replica.resign();
  group.settleRole(0);
  t.is(group.inFlightEntries, 0, 'nobody waits for it any more');
  members.cut.clear();
  members.lead(1);
  t.deepEqual(group.decoded, ['late']);
  t.deepEqual(group.words, ['lead', 'late', 'lead']);
});

test('a hand-over takes no new work, and goes when what is in flight is applied', (t) => {
  const members = wordMembers(3);
  const { group } = members.lead(1);
  const target = members.of(2);
  members.of(1).isApplyHeld = true;
  group.propose('last', 0);
  members.exchange();
  group.handOver(2, 0);
  members.tick(1);
  t.false(group.takesWork);
  t.is(group.epoch, 2 as never, 'it still answers for what was admitted');
  t.false(target.replica.leads);
  members.of(1).isApplyHeld = false;
  members.nowMs = handOverWaitMs - 1;
  members.of(1).isStirred = true;
  members.exchange();
  members.tick(1);
  t.deepEqual(group.leaderships, ['begin 2', 'serve 2', 'end']);
  t.deepEqual(target.group.leaderships, ['begin 3', 'serve 3']);
  t.true(group.words.includes('last'));
  t.deepEqual(group.decoded, ['lead'], 'it was applied as its own, before');
});

test('a hand-over does not wait for longer than handOverWaitMs', (t) => {
  const members = wordMembers(3);
  const { group } = members.lead(1);
  members.of(1).isApplyHeld = true;
  group.propose('slow', 0);
  members.exchange();
  group.handOver(2, 0);
  for (const nowMs of [handOverWaitMs - 1, handOverWaitMs]) {
    t.true(members.of(1).replica.leads);
    members.nowMs = nowMs;
    members.tick(1);
  }
  t.false(members.of(1).replica.leads);
  t.true(members.of(2).replica.leads);
  t.is(group.inFlightEntries, 0);
});

test('a hand-over to who has no vote changes nothing for long', (t) => {
  const members = wordMembers(3);
  const { group } = members.lead(1);
  group.handOver(9, 0);
  t.deepEqual(group.leaderships, ['begin 2', 'serve 2']);
  t.true(group.takesWork, 'nobody was asked, and work goes on');
});

test('who was to lead is gone: the old leader does not go on in its term, and may win the next', (t) => {
  const members = wordMembers(3);
  const { group, replica } = members.lead(1);
  members.cut.add(2);
  group.handOver(2, 0);
  members.exchange();
  t.deepEqual(
    group.leaderships,
    ['begin 2', 'serve 2', 'end'],
    'soft state went with the transfer',
  );
  t.true(replica.leads, 'for the core it leads until another does');
  members.tick(11);
  t.false(replica.leads && replica.term === 2, 'it resigned');
  t.deepEqual(group.leaderships.slice(0, 3), ['begin 2', 'serve 2', 'end']);
  t.not(group.leaderships[3], 'begin 2');
  members.cut.clear();
  members.tick(2 * electionTicksMax);
  t.is(members.all.filter(({ group: { epoch } }) => epoch !== undefined).length, 1);
});

/** The stamp of the entry with which replica 1 begins to lead, where wall clocks say so. */
function firstStampOf(
  walls: readonly number[],
  options: { readonly silent?: readonly number[]; readonly lastMs?: number } = {},
): number | undefined {
  const members = wordMembers(walls.length);
  if (options.lastMs !== undefined) {
    for (const member of members.all) member.wallMs = options.lastMs;
    members.lead(2);
    members.tick(1);
    members.of(2).replica.resign();
    members.exchange();
  }
  const before = members.of(1).group.stamps.length;
  for (const [at, wallMs] of walls.entries()) members.of(at + 1).wallMs = wallMs;
  for (const id of options.silent ?? []) members.cut.add(id);
  members.lead(1);
  return members.of(1).group.stamps[before];
}

test('a leadership’s stamps begin at the lower median of the voters’ wall clocks (§4) [4.24]', (t) => {
  t.is(firstStampOf([5_000]), 5_000, 'alone');
  t.is(firstStampOf([5_000, 7_000]), 5_000, 'of two the lower');
  t.is(firstStampOf([7_000, 5_000]), 5_000, 'of two the lower, whosever it is');
  t.is(firstStampOf([5_000, 7_000, 9_000]), 7_000, 'of three the middle');
  t.is(firstStampOf([900_000_000, 5_000, 7_000]), 7_000, 'its own is far ahead');
  t.is(firstStampOf([5_000, 900_000_000, 7_000]), 7_000, 'a voter’s is far ahead');
  t.is(firstStampOf([900_000_000, 5_000, 1], { silent: [3] }), 5_000, 'one does not vote');
});

test('stamps go on from the last one where the voters’ clocks are behind it [4.24]', (t) => {
  t.is(firstStampOf([5_000, 6_000, 7_000], { lastMs: 8_000 }), 8_000);
  t.is(firstStampOf([5_000, 9_000, 9_500], { lastMs: 8_000 }), 9_000);
});

test('stamps go on from the end of the log, also where it was not applied when the leadership began', (t) => {
  const members = wordMembers(3);
  for (const [id, wallMs] of [1_000_000, 1_000_000, 1_000].entries())
    members.of(id + 1).wallMs = wallMs;
  members.cut.add(3);
  members.lead(1);
  members.cut.delete(3);
  members.tick(2);
  // An entry of two hours later reaches 3's log, and that it is committed does not.
  const { group } = members.of(1);
  group.propose('late', 7_200_000);
  let isThere = false;
  members.loses = ({ to, kind, entries }) => {
    if (to !== 3) return false;
    const brings = kind === MessageKind.append && entries.length > 0 && !isThere;
    if (brings) isThere = true;
    return !brings;
  };
  members.exchange();
  const late = group.stamps.at(-1) ?? 0;
  t.is(late, 1_000_000 + 7_200_000);
  members.loses = () => false;
  members.cut.add(1);
  const next = members.lead(3).group;
  t.is(next.stamps.at(-2), late, 'its clock is behind the log');
  t.is(next.stampMs(members.nowMs) as number, late);
  t.is(next.stampMs(members.nowMs + 5) as number, late + 5);
});

test('wall clocks count in the election that they came with alone', (t) => {
  const members = wordMembers(3);
  const { group } = members.of(1);
  members.of(1).wallMs = 6_000;
  members.of(3).wallMs = 5_000;
  for (const id of [2, 3]) group.votedFor(id, 1, 900_000_000);
  members.cut.add(2);
  members.lead(1);
  t.deepEqual(group.stamps, [5_000], 'of the own clock and the one that came now');

  const alone = wordMembers(1);
  alone.of(1).group.votedFor(2, 1, 500);
  t.deepEqual(alone.lead(1).group.stamps, [1_000], 'no other has voted in this term');
});

test('a vote of an earlier term that comes late changes nothing', (t) => {
  const members = wordMembers(1);
  const { group } = members.of(1);
  group.votedFor(2, 2, 500);
  group.votedFor(3, 1, 900_000_000);
  group.votedFor(4, 1, 900_000_000);
  t.deepEqual(members.lead(1).group.stamps, [500]);
});

test('reads that wait to be confirmed end with the leadership, and come back in no later one (L3)', (t) => {
  const members = wordMembers(3);
  const { replica } = members.lead(1);
  members.cut.add(1);
  let runs = 0;
  replica.confirm(() => (runs += 1));
  members.exchange();
  replica.confirm(() => (runs += 1));
  members.tick(electionTicksMax);
  t.false(replica.leads);
  members.cut.clear();
  members.tick(electionTicksMax);
  const leader = members.all.find((each) => each.replica.leads);
  leader?.group.handOver(1, members.nowMs);
  members.tick(electionTicksMax);
  t.true(replica.leads);
  t.is(runs, 0);
  replica.confirm(() => (runs += 1));
  members.tick(2);
  t.is(runs, 1);
});

test('a read that was not asked about yet when the leadership ended asks nobody else (L3)', (t) => {
  const members = wordMembers(3);
  const leader = members.lead(1);
  let runs = 0;
  leader.replica.confirm(() => (runs += 1));
  leader.replica.step(new Message(MessageKind.heartbeat, 2, 1, 9));
  leader.turn(0);
  t.false(leader.replica.leads);
  t.false(
    leader.sent.some(({ kind }) => kind === MessageKind.readIndex),
    'the next leader’s word is none about this leadership',
  );
  t.is(runs, 0);
});
