/** Each checker is shown what must never happen, and what may. */
import test from 'ava';
import { StepKind, Transition } from '../../src/raft/change.ts';
import { encodeChange } from '../../src/raft/change-codec.ts';
import { type Configuration, configurationOf } from '../../src/raft/configuration.ts';
import { MemoryStorage } from '../../src/raft/memory-storage.ts';
import {
  Entry,
  EntryKind,
  type HardState,
  Message,
  MessageKind,
  noBytes,
} from '../../src/raft/message.ts';
import { Role } from '../../src/raft/state.ts';
import { Commitment } from './commitment.ts';
import { Conduct, majoritiesOverlap } from './conduct.ts';
import { type Claim, Ledger, type RaftChecker, type Suspect } from './ledger.ts';
import { Promises } from './promises.ts';
import { ShadowLog } from './shadow-log.ts';

const three = configurationOf([1, 2, 3]);
const start = { index: 1, term: 1, configuration: three, payload: noBytes };

function entry(index: number, term: number, byte = 0): Entry {
  return new Entry(term, index, EntryKind.normal, Uint8Array.of(byte));
}

/** A replica in its first life, with entries in its log and, unless told otherwise, on its disk. */
function suspectOf(id: number, entries: readonly Entry[], durable = entries.length): Suspect {
  const storage = new MemoryStorage();
  storage.install(start);
  storage.append(entries.slice(0, durable));
  const log = new ShadowLog();
  log.restore(start.index, start.term);
  if (entries.length > 0) log.write(entries);
  return { id, life: 1, log, storage };
}

function claimOf(claim: Partial<Claim>): Claim {
  return {
    term: 2,
    role: Role.follower,
    committed: 1,
    applied: 1,
    configuration: three,
    ...claim,
  };
}

/** All checkers, and what they complain of. */
class Court {
  readonly said: RaftChecker[] = [];
  readonly ledger: Ledger = new Ledger((checker) => this.said.push(checker));
  readonly commitment: Commitment = new Commitment((checker) => this.said.push(checker), start);
  readonly promises: Promises = new Promises((checker) => this.said.push(checker));
  readonly conduct: Conduct = new Conduct((checker) => this.said.push(checker), {
    preVote: true,
    uncommittedBytesMax: 3,
  });

  claim(suspect: Suspect, claim: Partial<Claim>): void {
    const whole = claimOf(claim);
    const before = this.ledger.lastClaim(suspect);
    this.ledger.claimed(suspect, whole);
    this.commitment.claimed(suspect, before, whole);
  }
}

/** Three replicas with an entry of term 2 at index 2, which the first, their leader, commits. */
function committedOnce(): { readonly court: Court; readonly suspects: readonly Suspect[] } {
  const court = new Court();
  const suspects = [1, 2].map((id) => suspectOf(id, [entry(2, 2)]));
  for (const suspect of suspects) court.commitment.enlist(suspect);
  for (const suspect of suspects.slice(0, 1)) {
    court.claim(suspect, { role: Role.leader });
    court.claim(suspect, { role: Role.leader, committed: 2, applied: 2 });
  }
  return { court, suspects };
}

test('election safety: two leaders of a term are seen, of two terms are not', (t) => {
  const court = new Court();
  court.claim(suspectOf(1, []), { role: Role.leader });
  court.claim(suspectOf(2, []), { role: Role.leader, term: 3 });
  t.deepEqual(court.said, []);
  court.claim(suspectOf(2, []), { role: Role.leader, term: 2 });
  t.true(court.said.includes('election safety'));
});

test('election safety: a leader that wins its term again after a crash is seen', (t) => {
  const court = new Court();
  const suspect = suspectOf(1, []);
  court.claim(suspect, { role: Role.leader });
  court.claim({ ...suspect, life: 2 }, { role: Role.leader });
  t.deepEqual(court.said, ['election safety']);
});

test('one vote a term: a durable vote and an answer that differ are seen', (t) => {
  const court = new Court();
  const hardState: HardState = { term: 5, vote: 2, commit: 0 };
  court.promises.kept(1, hardState);
  court.promises.kept(1, { term: 6, vote: 3, commit: 0 });
  t.deepEqual(court.said, []);
  court.promises.sent(suspectOf(1, []), { term: 6, vote: 3, commit: 0 }, granted(1, 3, 5));
  t.deepEqual(court.said, ['one vote a term']);
});

function granted(from: number, to: number, term: number): Message {
  return new Message(MessageKind.voteAnswer, from, to, term);
}

test('acknowledged is durable: a vote that is answered before the disk has it is seen', (t) => {
  const court = new Court();
  court.promises.sent(suspectOf(1, []), { term: 5, vote: 2, commit: 0 }, granted(1, 2, 5));
  t.deepEqual(court.said, []);
  court.promises.sent(suspectOf(1, []), { term: 5, vote: 0, commit: 0 }, granted(1, 2, 5));
  t.deepEqual(court.said, ['acknowledged is durable']);
});

test('acknowledged is durable: entries beyond the disk are seen', (t) => {
  const court = new Court();
  const suspect = suspectOf(1, [entry(2, 2), entry(3, 2)], 1);
  for (const index of [2, 3]) {
    t.deepEqual(court.said, []);
    const message = new Message(MessageKind.appendAnswer, 1, 2, 2);
    message.index = index;
    court.promises.sent(suspect, { term: 3, vote: 0, commit: 0 }, message);
    t.deepEqual(court.said, [], 'an answer of an earlier term is only late');
    court.promises.sent(suspect, { term: 2, vote: 0, commit: 0 }, message);
  }
  t.deepEqual(court.said, ['acknowledged is durable']);
});

test('log matching: other bytes at one place and term, or another term before it, are seen', (t) => {
  const write = (...runs: readonly (readonly Entry[])[]): readonly RaftChecker[] => {
    const court = new Court();
    for (const [at, entries] of runs.entries()) {
      court.ledger.wrote(suspectOf(at + 1, []), claimOf({}), entries);
    }
    return court.said;
  };
  t.deepEqual(write([entry(2, 2), entry(3, 2)], [entry(2, 2), entry(3, 2)]), []);
  t.deepEqual(write([entry(2, 2)], [entry(2, 2, 1)]), ['log matching']);
  t.deepEqual(write([entry(2, 2), entry(3, 3)], [entry(2, 1), entry(3, 3)]), ['log matching']);
  t.deepEqual(write([entry(2, 3), entry(3, 2)]), ['log matching']);
});

test('leader completeness: who is elected without a committed entry is seen', (t) => {
  const { court } = committedOnce();
  court.claim(suspectOf(3, []), { role: Role.leader, term: 1 });
  t.deepEqual(court.said, [], 'a leader of an earlier term need not have it');
  court.claim(suspectOf(2, []), { role: Role.leader, term: 3 });
  t.deepEqual(court.said, ['leader completeness']);
});

test('state machine safety: another state, and an entry applied uncommitted, are seen', (t) => {
  const { court } = committedOnce();
  court.commitment.applied(1, 2, 77);
  court.commitment.applied(2, 2, 77);
  t.deepEqual(court.said, []);
  court.commitment.applied(3, 2, 78);
  t.deepEqual(court.said, ['state machine safety']);
  court.commitment.applied(1, 3, 79);
  t.is(court.said.length, 2);
});

test('committed never changes: another term at a committed index is seen', (t) => {
  const { court } = committedOnce();
  court.claim(suspectOf(3, [entry(2, 1)]), { committed: 2, applied: 1 });
  t.deepEqual(court.said, ['committed never changes']);
});

test('committed never changes: a committed entry that is replaced is seen', (t) => {
  const { court } = committedOnce();
  const suspect = suspectOf(2, [entry(2, 2)]);
  const replaced = court.ledger.wrote(suspect, claimOf({ term: 3 }), [entry(2, 3)]);
  court.commitment.replaced(suspect, 1, replaced);
  t.deepEqual(court.said, ['committed never changes']);
});

test('committed is durable: a minority of either half is seen', (t) => {
  const commit = (configuration: Configuration, onDisks: readonly number[]): RaftChecker[] => {
    const court = new Court();
    for (const id of [2, 3, 4, 5]) {
      court.commitment.enlist(suspectOf(id, [entry(2, 2)], onDisks.includes(id) ? 1 : 0));
    }
    const leader = suspectOf(1, [entry(2, 2)], onDisks.includes(1) ? 1 : 0);
    court.commitment.enlist(leader);
    court.claim(leader, { role: Role.leader, configuration });
    court.claim(leader, { role: Role.leader, configuration, committed: 2 });
    return court.said;
  };
  t.deepEqual(commit(three, [1, 2]), []);
  t.deepEqual(commit(three, [1]), ['committed is durable']);
  t.deepEqual(commit(three, [1, 4, 5]), ['committed is durable']);
  const joint = { ...configurationOf([1, 4, 5]), outgoing: [1, 2, 3] };
  t.deepEqual(commit(joint, [1, 2, 4]), []);
  t.deepEqual(commit(joint, [1, 2]), ['committed is durable']);
  t.deepEqual(commit(joint, [1, 4, 5]), ['committed is durable']);
});

test('monotonic: term, commit and applied that go back within a life are seen', (t) => {
  for (const back of [{ term: 1 }, { committed: 0 }, { applied: 0 }]) {
    const court = new Court();
    const suspect = suspectOf(1, []);
    court.claim(suspect, {});
    court.claim({ ...suspect, life: 2 }, back);
    t.deepEqual(court.said, [], 'another life begins with what is durable');
    court.claim(suspect, {});
    court.claim(suspect, back);
    t.deepEqual(court.said, ['monotonic']);
  }
});

test('monotonic: a durable term that goes back is seen', (t) => {
  const court = new Court();
  court.promises.kept(1, { term: 5, vote: 0, commit: 0 });
  court.promises.kept(1, { term: 4, vote: 0, commit: 0 });
  t.deepEqual(court.said, ['monotonic']);
});

test('one change under way: a leader that logs a second one is seen', (t) => {
  const court = new Court();
  const steps = [{ kind: StepKind.voter, replica: 4 }];
  const payload = encodeChange({ transition: Transition.auto, steps, context: noBytes });
  const suspect = suspectOf(1, [new Entry(2, 2, EntryKind.change, payload)]);
  const second = [new Entry(2, 3, EntryKind.change, payload)];
  const leader = { role: Role.leader, committed: 2 };
  court.ledger.wrote(suspect, claimOf({ ...leader, applied: 2 }), second);
  t.deepEqual(court.said, []);
  court.ledger.wrote(suspect, claimOf({ ...leader, applied: 1 }), second);
  t.deepEqual(court.said, ['one change under way']);
});

test('removed replica: one that is elected and is no voter is seen', (t) => {
  const court = new Court();
  court.claim(suspectOf(4, []), { role: Role.leader });
  t.deepEqual(court.said, ['removed replica']);
});

test('removed replica: one that says something after its end is seen', (t) => {
  const court = new Court();
  const answer = new Message(MessageKind.heartbeatAnswer, 4, 1, 2);
  court.promises.sent(suspectOf(4, []), { term: 2, vote: 0, commit: 0 }, answer);
  t.deepEqual(court.said, []);
  court.promises.ended(4);
  court.promises.sent(suspectOf(4, []), { term: 2, vote: 0, commit: 0 }, answer);
  t.deepEqual(court.said, ['removed replica']);
});

test('linearizable read: an index below what was committed, and an answer twice, are seen', (t) => {
  const court = new Court();
  court.promises.asked(1, 10);
  court.promises.asked(2, 10);
  court.promises.answered(1, 1, 10);
  t.deepEqual(court.said, []);
  court.promises.answered(1, 2, 9);
  t.deepEqual(court.said, ['linearizable read']);
  court.promises.answered(1, 2, 10);
  t.is(court.said.length, 2);
});

test('lease: one that outlives the election of another leader is seen', (t) => {
  const court = new Court();
  court.claim(suspectOf(1, []), { role: Role.leader, term: 2 });
  court.promises.held(1, 2, court.ledger.maxLedTerm);
  t.deepEqual(court.said, []);
  court.claim(suspectOf(2, []), { role: Role.leader, term: 3 });
  court.promises.held(1, 2, court.ledger.maxLedTerm);
  t.deepEqual(court.said, ['lease']);
});

test('acknowledged is durable: what an earlier term left on the disk is no acknowledgement', (t) => {
  const court = new Court();
  const suspect = suspectOf(1, [entry(2, 2)]);
  const message = new Message(MessageKind.appendAnswer, 1, 2, 3);
  message.index = 2;
  court.promises.sent(suspect, { term: 3, vote: 0, commit: 0 }, message);
  t.deepEqual(court.said, []);
  suspect.log.write([entry(2, 3)]);
  court.promises.sent(suspect, { term: 3, vote: 0, commit: 0 }, message);
  t.deepEqual(court.said, ['acknowledged is durable']);
});

test('one change under way: who campaigns with a committed change unapplied is seen', (t) => {
  const court = new Court();
  const suspect = suspectOf(1, [new Entry(2, 2, EntryKind.change, noBytes)]);
  court.conduct.heard(suspect, consent(2, 3));
  const candidate = { term: 3, role: Role.candidate, committed: 2 };
  court.conduct.claimed(suspect, undefined, claimOf({ ...candidate, applied: 2 }));
  t.deepEqual(court.said, []);
  court.conduct.claimed(suspect, undefined, claimOf({ ...candidate, applied: 1 }));
  t.deepEqual(court.said, ['one change under way']);
});

function consent(from: number, term: number): Message {
  return new Message(MessageKind.preVoteAnswer, from, 1, term);
}

test('pre-vote: a term that begins without consents, or with those of another life, is seen', (t) => {
  const begin = (messages: readonly Message[], life = 1): readonly RaftChecker[] => {
    const court = new Court();
    const suspect = suspectOf(1, []);
    for (const message of messages) court.conduct.heard(suspect, message);
    const claim = claimOf({ term: 3, role: Role.candidate });
    court.conduct.claimed({ ...suspect, life }, undefined, claim);
    return court.said;
  };
  t.deepEqual(begin([consent(2, 3)]), []);
  t.deepEqual(begin([new Message(MessageKind.timeoutNow, 2, 1, 2)]), []);
  t.deepEqual(begin([]), ['pre-vote']);
  t.deepEqual(begin([consent(2, 2)]), ['pre-vote']);
  t.deepEqual(begin([consent(4, 3)]), ['pre-vote'], 'four does not vote');
  t.deepEqual(begin([consent(2, 3)], 2), ['pre-vote']);
});

test('what a leader logs while it hands over, or is no voter, or beyond its bound, is seen', (t) => {
  const add = (
    entries: readonly Entry[],
    configuration: Configuration,
    handsOver = false,
  ): readonly RaftChecker[] => {
    const court = new Court();
    const claim = claimOf({ role: Role.leader, configuration });
    court.conduct.added(suspectOf(1, entries), claim, handsOver, entries.slice(-1));
    return court.said;
  };
  const some = [2, 3, 4].map((index) => entry(index, 2));
  t.deepEqual(add(some, three), []);
  t.deepEqual(add([...some, entry(5, 2)], three), ['bounded log']);
  t.deepEqual(add(some, three, true), ['transfer']);
  t.deepEqual(add(some, configurationOf([2, 3], [1])), ['removed replica']);
});

test('log matching: who refuses what it has committed is seen', (t) => {
  const court = new Court();
  const refusal = new Message(MessageKind.appendAnswer, 1, 2, 2);
  [refusal.reject, refusal.index] = [true, 3];
  court.conduct.answered(suspectOf(1, []), 2, [refusal]);
  t.deepEqual(court.said, []);
  court.conduct.answered(suspectOf(1, []), 3, [refusal]);
  t.deepEqual(court.said, ['log matching']);
});

test('majorities overlap from one voter to another, not two, but for a joint configuration', (t) => {
  const overlap = (before: readonly number[], after: readonly number[]): boolean =>
    majoritiesOverlap(configurationOf(before), configurationOf(after));
  t.true(overlap([1, 2, 3], [1, 2, 3, 4]));
  t.true(overlap([1, 2, 3, 4], [1, 2, 3]));
  t.false(overlap([1, 2, 3], [1, 4, 5]));
  t.false(overlap([1, 2, 3], [1, 2, 3, 4, 5]), 'one and two, the others');
  const joint = { ...configurationOf([4, 5]), outgoing: [1, 2, 3] };
  t.true(majoritiesOverlap(configurationOf([1, 2, 3]), joint));
  t.true(majoritiesOverlap(joint, configurationOf([4, 5])));
  t.false(majoritiesOverlap(joint, configurationOf([1, 2, 6])));
});

test('earlier life: who leads by votes that another life asked for is seen', (t) => {
  const elect = (askedIn: number): readonly RaftChecker[] => {
    const court = new Court();
    const suspect = { ...suspectOf(1, []), life: 2 };
    const request = new Message(MessageKind.vote, 1, 2, 3);
    request.context = 77;
    court.conduct.sent({ ...suspect, life: askedIn }, request);
    const answer = granted(2, 1, 3);
    answer.context = 77;
    court.conduct.heard(suspect, answer);
    court.conduct.claimed(suspect, undefined, claimOf({ term: 3, role: Role.leader }));
    return court.said;
  };
  t.deepEqual(elect(2), []);
  t.deepEqual(elect(1), ['earlier life']);
});
