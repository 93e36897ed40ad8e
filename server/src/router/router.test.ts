import test from 'ava';
import { any, RouterBench, space, stored, template, tuple } from '../../test/router/bench.ts';
import type {
  Attempt,
  LogIndex,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  Term,
  TupleId,
} from '../base/ids.ts';
import type { SessionOperation } from '../space/command.ts';
import type { SpaceEvent } from '../space/history.ts';
import { leadershipAfter } from './call.ts';
import { type Failure, isFailure } from './failure.ts';
import type { HistoryBounds } from './histories.ts';
import { type NotifyStream, openNotify } from './notify.ts';
import type { Answer, Request } from './request.ts';

const jobs = { name: 'jobs' };

function operation(attempt = 1): SessionOperation {
  return {
    kind: 'session',
    session: (2 ** 44 + 1) as SessionId,
    sequence: 3 as Sequence,
    attempt: attempt as Attempt,
    floor: 3 as Sequence,
  };
}

function write(options: { operation?: SessionOperation } = {}): Request {
  const requested = { bytes: tuple('job', 1), leaseMs: undefined };
  return { kind: 'write', space: jobs, operation: options.operation, tuple: requested };
}

function read(options: Partial<Extract<Request, { kind: 'read' }>> = {}): Request {
  return {
    kind: 'read',
    space: jobs,
    template: template('job', any),
    max: 1,
    min: 1,
    waitMs: 1_000,
    states: ['ready'],
    ...options,
  };
}

function takeOf(operation: SessionOperation, template: Uint8Array): Request {
  return { kind: 'take', space: jobs, operation, template, max: 1, min: 1, waitMs: 1_000 };
}

const written = {
  kind: 'written',
  tuples: [{ id: 1 as TupleId, revision: 2 as LogIndex, leaseEndMs: undefined }],
} as const;

function reasonOf(answer: Answer | undefined): string {
  return answer?.kind === 'failed' ? answer.failure.reason : `${answer?.kind}`;
}

test('a write goes to the partition of its slot and is answered with what was written', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(write());
  const sent = bench.one('mutate');
  t.is(sent.m, 1);
  bench.reply(sent, sent.to, { kind: 'result', result: written, m: 1 });
  t.deepEqual(answers, [{ kind: 'written', tuple: written.tuples[0] }]);
  t.is(bench.router.openCalls, 0);
});

test('a space that the map does not have is not found [6.12]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call({ ...write(), space: { name: 'none' } } as Request);
  t.is(reasonOf(answers[0]), 'SPACE_NOT_FOUND');
  t.deepEqual(bench.sent(), []);
});

/** A space that the cluster has and this node does not know yet, and a call for it. */
function behind(request: Partial<Request> = {}) {
  const bench = new RouterBench();
  const [known] = bench.spaces.splice(0);
  bench.looks = [];
  const made = bench.call({ ...write(), ...request } as Request);
  const looked = (isSeen: boolean): void => {
    if (known !== undefined && isSeen) bench.spaces.push(known);
    for (const run of bench.looks?.splice(0) ?? []) run(isSeen);
  };
  return { bench, looked, ...made };
}

test("a space that this node does not know yet is looked for in the cluster's map [6.12]", (t) => {
  const { bench, answers, looked } = behind();
  t.deepEqual(answers, []);
  t.deepEqual(bench.sent(), []);
  looked(true);
  const sent = bench.one('mutate');
  bench.reply(sent, sent.to, { kind: 'result', result: written, m: 1 });
  t.is(answers[0]?.kind, 'written');
});

test('a call that knows a newer map than this node waits for it; by an older one it is stale', (t) => {
  const newer = behind({ space: { id: 1, mapEpoch: 2 } } as Partial<Request>);
  t.is(newer.bench.looks?.length, 1);
  newer.bench.epoch = 2;
  newer.looked(true);
  newer.bench.one('mutate');
  const ahead = behind({ space: { id: 1, mapEpoch: 9 } } as Partial<Request>);
  ahead.looked(true);
  t.is(reasonOf(ahead.answers[0]), 'STALE_MAP');
  const older = behind({ space: { id: 1, mapEpoch: 0 } } as Partial<Request>);
  t.deepEqual(older.bench.looks, []);
  t.is(reasonOf(older.answers[0]), 'STALE_MAP');
});

test("where the cluster's map cannot be looked at nobody is told that a space is not there", (t) => {
  const { answers, looked } = behind();
  looked(false);
  t.is(reasonOf(answers[0]), 'NO_LEADER');
  t.regex(JSON.stringify(answers[0]), /"partition":0/);
});

test('a name that no space can have is refused without a look', (t) => {
  const { bench, answers } = behind({ space: { name: 'x'.repeat(500) } } as Partial<Request>);
  t.deepEqual(bench.looks, []);
  t.is(reasonOf(answers[0]), 'SPACE_NOT_FOUND');
});

test('a call that is ended while it looks has sent nothing, and hears of nothing later', (t) => {
  const waiting = { kind: 'read', template: template('job', any), max: 1, min: 1 } as const;
  const read = { ...waiting, states: ['ready'], waitMs: 1_000 } as const;
  const cancelled = behind(read as Partial<Request>);
  cancelled.bench.router.cancel(cancelled.number);
  t.deepEqual(cancelled.answers, [{ kind: 'cancelled' }]);
  const abandoned = behind(read as Partial<Request>);
  abandoned.bench.router.abandon(abandoned.number);
  const late = behind(read as Partial<Request>);
  late.bench.clock.advance(1_050);
  t.is(reasonOf(late.answers[0]), 'NO_LEADER');
  for (const each of [cancelled, abandoned, late]) {
    each.looked(true);
    t.deepEqual(each.bench.sent(), []);
    t.is(each.bench.router.openCalls, 0);
  }
});

test('a wait that ends while the map is looked at is over when the call begins', (t) => {
  const waiting = { kind: 'read', template: template('job', any), max: 1, min: 1 } as const;
  const { bench, looked } = behind({
    ...waiting,
    states: ['ready'],
    waitMs: 1_000,
  } as Partial<Request>);
  bench.clock.advance(1_010);
  looked(true);
  t.true(bench.sent().some(({ message }) => message.kind === 'read' && message.waitEnded));
});

test('a call that waits in a space which was looked for ends when that is dropped', (t) => {
  const waiting = { kind: 'read', template: template('job', any), max: 1, min: 1 } as const;
  const { bench, answers, looked } = behind({
    ...waiting,
    states: ['ready'],
    waitMs: Number.POSITIVE_INFINITY,
  } as Partial<Request>);
  looked(true);
  t.deepEqual(answers, []);
  bench.drop('jobs');
  t.is(reasonOf(answers[0]), 'SPACE_NOT_FOUND');
});

test('a call routed by an older epoch of the map is refused [6.7]', (t) => {
  const bench = new RouterBench();
  bench.epoch = 4;
  const old = bench.call({ ...write(), space: { id: 1, mapEpoch: 3 } } as Request);
  t.is(reasonOf(old.answers[0]), 'STALE_MAP');
  bench.call({ ...write(), space: { id: 1, mapEpoch: 4 } } as Request);
  t.is(bench.sent().length, 1);
});

test('a tuple that is none names the field, and nothing is sent [1.21]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call({
    kind: 'write-many',
    space: jobs,
    operation: undefined,
    tuples: [
      { bytes: tuple('job', 1), leaseMs: undefined },
      { bytes: new Uint8Array(0), leaseMs: undefined },
    ],
  });
  t.is(reasonOf(answers[0]), 'TUPLE_ARITY');
  const failed = answers[0]?.kind === 'failed' ? answers[0].failure : undefined;
  t.regex(failed?.field ?? '', /^items\[1\]\.tuple/);
  t.deepEqual(bench.sent(), []);
});

test('a tuple larger than its space allows is refused with the limit [1.19]', (t) => {
  const bench = new RouterBench();
  const settings = { ...space.settings, tupleBytesMax: 64 };
  bench.spaces.push({ ...space, id: 2 as SpaceId, name: 'small', settings });
  const request = { bytes: tuple('job', 'x'.repeat(64)), leaseMs: undefined };
  const { answers } = bench.call({
    kind: 'write',
    space: { name: 'small' },
    operation: undefined,
    tuple: request,
  });
  t.is(reasonOf(answers[0]), 'TUPLE_TOO_LARGE');
  t.is(answers[0]?.kind === 'failed' ? answers[0].failure.limit : 0, 64);
});

test('write many has an outcome for each tuple, also where one partition fails [3.2]', (t) => {
  const bench = new RouterBench({ partitions: 16 });
  const tuples = ['a', 'b', 'c', 'd', 'e', 'f'].map((tag) => ({
    bytes: tuple(tag, 1),
    leaseMs: undefined,
  }));
  const { answers } = bench.call({
    kind: 'write-many',
    space: jobs,
    operation: operation(),
    tuples,
  });
  const sent = bench.sent();
  t.true(sent.length > 1, 'the tags lie in several partitions');
  const [failing, ...others] = sent;
  let count = 0;
  for (const { to, message } of others) {
    if (message.kind !== 'mutate' || message.change.kind !== 'write') return t.fail();
    t.deepEqual(message.operation, operation());
    const result = {
      kind: 'written' as const,
      tuples: message.change.tuples.map((_, at) => ({
        id: (to * 2 ** 44 + at + 1) as TupleId,
        revision: 9 as LogIndex,
        leaseEndMs: undefined,
      })),
    };
    count += result.tuples.length;
    bench.reply(message, to, { kind: 'result', result, m: 1 });
  }
  t.deepEqual(answers, []);
  if (failing === undefined) return t.fail();
  bench.reply(failing.message, failing.to, {
    kind: 'refused',
    reason: 'DISK_FULL',
    message: 'the disk is full',
    m: 1,
  });
  const [answer] = answers;
  if (answer?.kind !== 'outcomes') return t.fail();
  t.is(answer.outcomes.length, tuples.length);
  t.is(answer.outcomes.filter((outcome) => 'id' in outcome).length, count);
  t.true(answer.outcomes.some((outcome) => 'reason' in outcome && outcome.reason === 'DISK_FULL'));
});

test('a change without identity is never sent twice: its outcome is not known', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(write());
  const sent = bench.one('mutate');
  bench.lead(sent.to, 2);
  t.is(reasonOf(answers[0]), 'OUTCOME_UNKNOWN');
  t.deepEqual(bench.sent(), []);
});

test('a change of a session is sent again to the next leadership, with a higher m [4.11]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(write({ operation: operation() }));
  const first = bench.one('mutate');
  bench.lead(first.to, 2);
  const second = bench.one('mutate');
  t.deepEqual([second.epoch as number, second.m], [2, 2]);
  bench.reply(second, second.to, { kind: 'result', result: written, m: 2 });
  t.is(answers[0]?.kind, 'written');
});

test('what a lost leadership found unchanged ends nothing that was sent to the next one [4.11]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(write({ operation: operation() }));
  const first = bench.one('mutate');
  bench.lead(first.to, 2);
  const second = bench.one('mutate');
  // It held when the first was looked at; the second may act, and says what came of it.
  bench.reply(first, first.to, { kind: 'unchanged', m: 1 });
  t.deepEqual(answers, []);
  bench.reply(second, second.to, { kind: 'result', result: written, m: 2 });
  t.is(answers[0]?.kind, 'written');
});

test('a leader that surely proposed nothing is followed by the next one, without an identity too', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(write());
  const first = bench.one('mutate');
  bench.reply(first, first.to, { kind: 'not-leader', definite: true });
  t.deepEqual(bench.sent(), []);
  bench.lead(first.to, 2);
  t.is(bench.one('mutate').m, 2);
  t.deepEqual(answers, []);
});

test('a partition without a leader is named, and never passes for empty [3.31]', (t) => {
  const bench = new RouterBench();
  bench.lead(2, undefined);
  const { answers } = bench.call(read({ template: template(any, any), waitMs: 100 }));
  const asked = bench.sent();
  t.is(asked.length, 3);
  bench.clock.advance(100);
  for (const { to, message } of bench.sent()) {
    if (message.kind !== 'read') return t.fail();
    bench.reply(message, to, { kind: 'nothing', m: message.m, cancelled: false });
  }
  t.deepEqual(answers, []);
  bench.clock.advance(50);
  const [answer] = answers;
  t.is(reasonOf(answer), 'NO_LEADER');
  t.is(answer?.kind === 'failed' ? answer.failure.partition : 0, 2);
});

test('a refusal tells its reason', (t) => {
  const bench = new RouterBench();
  const known = bench.call(write());
  const first = bench.one('mutate');
  bench.reply(first, first.to, { kind: 'refused', reason: 'SESSION_BUSY', message: 'busy', m: 1 });
  t.is(reasonOf(known.answers[0]), 'SESSION_BUSY');
});

test('a refusal in doubt is an unknown outcome: an earlier sending may have acted [10.2]', (t) => {
  const bench = new RouterBench();
  const known = bench.call(write({ operation: operation() }));
  const first = bench.one('mutate');
  const refusal = { kind: 'refused', reason: 'DISK_FULL', message: 'full', m: 1 } as const;
  bench.reply(first, first.to, { ...refusal, inDoubt: true });
  const [answer] = known.answers;
  t.like(answer?.kind === 'failed' ? answer.failure : {}, {
    reason: 'OUTCOME_UNKNOWN',
    message: `partition ${first.to} refused it (DISK_FULL: full); another sending of it may have been carried out`,
    partition: first.to,
    retryMs: 100,
  });
});

test('a result of another kind shows that the identity was used twice', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(write({ operation: operation() }));
  const sent = bench.one('mutate');
  const result = { kind: 'cancelled', found: true } as const;
  bench.reply(sent, sent.to, { kind: 'result', result, m: 1 });
  t.is(reasonOf(answers[0]), 'OPERATION_MISMATCH');
});

test('write if absent needs a template pinned to the slot of the tuple [3.3]', (t) => {
  const bench = new RouterBench();
  const request = (absent: Uint8Array): Request => ({
    kind: 'write-if-absent',
    space: jobs,
    operation: undefined,
    tuple: { bytes: tuple('job', 1), leaseMs: undefined },
    absent,
  });
  for (const absent of [template(any, 1), template('other', any)])
    t.is(reasonOf(bench.call(request(absent)).answers[0]), 'NOT_PINNED');
  const { answers } = bench.call(request(template('job', 1)));
  const sent = bench.one('mutate');
  bench.reply(sent, sent.to, { kind: 'unchanged', m: 1 });
  t.deepEqual(answers, [{ kind: 'written', tuple: undefined }]);
});

test('a replacement in another slot is refused [3.9]', (t) => {
  const bench = new RouterBench();
  const request = (bytes: Uint8Array): Request => ({
    kind: 'replace',
    space: jobs,
    operation: undefined,
    target: template('job', any),
    bytes,
    leaseMs: 'keep',
  });
  t.is(reasonOf(bench.call(request(tuple('other', 1))).answers[0]), 'ROUTE_CHANGES');
  bench.call(request(tuple('job', 2)));
  t.is(bench.one('mutate').change.kind, 'replace');
});

test('an increment of a field that routes the tuple is refused', (t) => {
  const bench = new RouterBench();
  const rules = [{ tag: 'job', spread: 8, fields: [1] }];
  bench.spaces.push({ ...space, id: 2 as SpaceId, name: 'spread', rules });
  const request = (field: number): Request => ({
    kind: 'increment',
    space: { name: 'spread' },
    operation: undefined,
    template: template('job', 1, any),
    field,
    delta: new Uint8Array([0x18, 0x02]),
  });
  t.is(reasonOf(bench.call(request(0)).answers[0]), 'ROUTE_CHANGES');
  t.is(reasonOf(bench.call(request(1)).answers[0]), 'ROUTE_CHANGES');
  bench.call(request(2));
  t.is(bench.one('mutate').change.kind, 'increment');
});

test('a pinned read waits at one partition; "nothing" is linearizable [3.28]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read());
  const first = bench.one('read');
  t.false(first.waitEnded);
  bench.clock.advance(1_000);
  const last = bench.one('read');
  t.deepEqual([last.to, last.m, last.waitEnded], [first.to, 2, true]);
  bench.reply(first, first.to, { kind: 'nothing', m: 1, cancelled: false });
  t.deepEqual(answers, [], 'an answer to an older sending counts for nothing');
  bench.reply(last, last.to, { kind: 'nothing', m: 2, cancelled: false });
  t.deepEqual(answers, [{ kind: 'nothing', scope: 'linearizable' }]);
});

test('after the wait an answer comes within 50 ms, if not the one hoped for [3.20]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read());
  bench.clock.advance(1_049);
  t.deepEqual(answers, []);
  bench.clock.advance(1);
  t.is(reasonOf(answers[0]), 'OUTCOME_UNKNOWN');
});

test('an unpinned read asks every partition; the first tuple wins, the others are told [6.10]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read({ template: template(any, any) }));
  const asked = bench.sent();
  t.deepEqual(
    asked.map(({ to }) => to as number),
    [1, 2, 3, 4],
  );
  const found = stored(3, 1, tuple('job', 1));
  const [, , third] = asked;
  if (third === undefined) return t.fail();
  bench.reply(third.message, 3, { kind: 'found', tuples: [found], m: 1 });
  t.deepEqual(answers, [{ kind: 'found', tuples: [found], delivery: undefined }]);
  const withdrawn = bench.sent();
  t.deepEqual(
    withdrawn.map(({ to }) => to as number),
    [1, 2, 4],
  );
  t.true(withdrawn.every(({ message }) => message.kind === 'read' && message.cancelled));
});

test('an unpinned "nothing" needs the word of every partition [3.29]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read({ template: template(any, any), waitMs: 0 }));
  for (const [at, { to, message }] of bench.sent().entries()) {
    t.deepEqual(answers, [], `after ${at} partitions`);
    bench.reply(message, to, { kind: 'nothing', m: 1, cancelled: false });
  }
  t.deepEqual(answers, [{ kind: 'nothing', scope: 'each-partition' }]);
});

test('an unpinned read of many collects what there is, up to its maximum [3.7]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read({ template: template(any, any), max: 3 }));
  const [one, two, three, four] = bench.sent();
  if (!one || !two || !three || !four) return t.fail();
  const tuples = [1, 2].map((counter) => stored(1, counter, tuple('job', counter)));
  bench.reply(one.message, 1, { kind: 'found', tuples, m: 1 });
  bench.reply(two.message, 2, { kind: 'nothing', m: 1, cancelled: false });
  t.deepEqual(answers, []);
  const more = [1, 2].map((counter) => stored(3, counter, tuple('job', counter)));
  bench.reply(three.message, 3, { kind: 'found', tuples: more, m: 1 });
  const [answer] = answers;
  t.is(answer?.kind === 'found' ? answer.tuples.length : 0, 3);
});

test('an unpinned read of many that finds nothing waits for the first tuple', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read({ template: template(any, any), max: 10 }));
  for (const { to, message } of bench.sent())
    bench.reply(message, to, { kind: 'nothing', m: 1, cancelled: false });
  const waiting = bench.sent();
  t.is(waiting.length, 4);
  t.true(waiting.every(({ message }) => message.kind === 'read' && !message.waitEnded));
  const [first] = waiting;
  if (first === undefined) return t.fail();
  const tuples = [stored(1, 1, tuple('job', 1))];
  bench.reply(first.message, 1, { kind: 'found', tuples, m: 2 });
  t.is(answers[0]?.kind, 'found');
});

test('an answer of many tuples stops at its bytes, with at least one [1.20]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read({ template: template(any, any), max: 10, waitMs: 0 }));
  const large = 'x'.repeat(900_000);
  for (const { to, message } of bench.sent()) {
    const tuples = [1, 2].map((counter) => stored(to, counter, tuple(large, counter)));
    bench.reply(message, to, { kind: 'found', tuples, m: 1 });
  }
  const [answer] = answers;
  t.is(answer?.kind === 'found' ? answer.tuples.length : 0, 3);
});

test('a count sums one instant of each partition [3.33]', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call({
    kind: 'count',
    space: jobs,
    template: undefined,
    states: ['ready'],
  });
  for (const { to, message } of bench.sent())
    bench.reply(message, to, { kind: 'counted', count: to });
  t.deepEqual(answers, [{ kind: 'counted', count: 10 }]);
});

test('a cancelled read answers at once and takes its waiters away [3.22]', (t) => {
  const bench = new RouterBench();
  const { number, answers } = bench.call(read({ waitMs: Number.POSITIVE_INFINITY }));
  bench.sent();
  bench.router.cancel(number);
  t.deepEqual(answers, [{ kind: 'cancelled' }]);
  t.true(bench.one('read').cancelled);
  t.is(bench.router.openCalls, 0);
});

test('an abandoned call takes its waiters away and is answered to nobody', (t) => {
  const bench = new RouterBench();
  const { number, answers } = bench.call(read());
  const sent = bench.one('read');
  bench.router.abandon(number);
  t.true(bench.one('read').cancelled);
  bench.reply(sent, sent.to, { kind: 'nothing', m: 2, cancelled: true });
  bench.clock.advance(5_000);
  t.deepEqual(answers, []);
});

test('100,000 blocked calls have one timer', (t) => {
  const bench = new RouterBench({ limits: { callsMax: 100_000 } });
  for (let each = 0; each < 100_000; each += 1) {
    bench.call(read({ template: template('job', each), waitMs: 60_000 + each }));
  }
  t.is(bench.clock.timers, 1);
  t.is(bench.router.openCalls, 100_000);
  const { answers } = bench.call(read());
  t.is(reasonOf(answers[0]), 'OVERLOADED');
});

test('receipts go to the partitions that their tuples name; those confirmed are answered [4.19]', (t) => {
  const bench = new RouterBench();
  const receipts = [1, 2, 2].map((partition, at) => ({
    sequence: (at + 1) as Sequence,
    tuple: stored(partition, at + 1, tuple('job')).id,
  }));
  const { answers } = bench.call({
    kind: 'acknowledge',
    session: operation().session,
    floor: 1 as Sequence,
    receipts,
  });
  const [first, second] = bench.sent();
  if (!first || !second || second.message.kind !== 'acknowledge') return t.fail();
  t.deepEqual(second.message.receipts, receipts.slice(1));
  bench.reply(second.message, 2, { kind: 'received' });
  t.deepEqual(answers, []);
  bench.clock.advance(10_000);
  t.deepEqual(answers, [{ kind: 'received', receipts: receipts.slice(1) }]);
});

test('a session is kept and closed at the home that its id names [4.5]', (t) => {
  const bench = new RouterBench();
  const session = (3 * 2 ** 44 + 1) as SessionId;
  const kept = bench.call({ kind: 'keep-session', session });
  const keep = bench.one('keep-session');
  t.is(keep.to as number, 3);
  bench.reply(keep, 3, { kind: 'session-kept', leaseMs: 10_000 });
  t.deepEqual(kept.answers, [{ kind: 'session-kept', leaseMs: 10_000 }]);
  const closed = bench.call({ kind: 'close-session', session });
  bench.reply(bench.one('close-session'), 3, { kind: 'done' });
  t.deepEqual(closed.answers, [{ kind: 'session-closed' }]);
  const nowhere = bench.call({ kind: 'keep-session', session: (99 * 2 ** 44) as SessionId });
  t.is(reasonOf(nowhere.answers[0]), 'SESSION_EXPIRED');
});

test('a session whose id names no partition is refused everywhere, and nobody is asked [4.5]', (t) => {
  const bench = new RouterBench();
  for (const id of [5, 17 * 2 ** 44 + 1, 300 * 2 ** 44 + 5, Number.MAX_SAFE_INTEGER]) {
    const session = id as SessionId;
    const stray = { ...operation(2), session };
    const tuple = (2 ** 44 + 1) as TupleId;
    const requests: Request[] = [
      write({ operation: stray }),
      takeOf(stray, template('job', any)),
      takeOf(stray, template(any, 1)),
      { kind: 'cancel-take', space: jobs, operation: stray, template: template('job', any) },
      { kind: 'cancel', space: jobs, operation: stray, tuple },
      { kind: 'acknowledge', session, floor: 1 as Sequence, receipts: [] },
      { kind: 'keep-session', session },
      { kind: 'close-session', session },
    ];
    for (const request of requests)
      t.is(reasonOf(bench.call(request).answers[0]), 'SESSION_EXPIRED', request.kind);
  }
  t.deepEqual(bench.sent(), []);
});

test('sessions get their homes in turn', (t) => {
  const bench = new RouterBench();
  for (let each = 0; each < 8; each += 1)
    bench.call({ kind: 'open-session', leaseMs: 10_000, name: '' });
  const homes = new Set(bench.sent().map(({ to }) => to));
  t.is(homes.size, 4);
});

test('a router that drains ends what waits and takes nothing more', async (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read());
  bench.router.drain();
  t.deepEqual(answers, [{ kind: 'cancelled' }]);
  t.is(reasonOf(bench.call(read()).answers[0]), 'SHUTTING_DOWN');
  await bench.router.settled();
});

test('the timer of a wait of years is one that the platform can hold', (t) => {
  const bench = new RouterBench();
  const { after } = bench.clock;
  const delays: number[] = [];
  bench.clock.after = (delayMs, run) => {
    delays.push(delayMs);
    return after.call(bench.clock, delayMs, run);
  };
  const { answers } = bench.call(read({ waitMs: 3_155_760_000_000 }));
  bench.clock.advance(2 ** 32);
  t.true(delays.length >= 2);
  t.true(Math.max(...delays) < 2 ** 31);
  t.deepEqual(answers, []);
});

test('a stream looks at a bounded number of events in one go, however few of them match', (t) => {
  const matching = 20_000;
  const eventAt = (revision: number): SpaceEvent => ({
    place: { revision: revision as LogIndex, position: 0 },
    kind: 'written',
    last: true,
    stampMs: 0 as StampMs,
    space: space.id,
    slot: 0 as Slot,
    tuple: stored(1, revision, tuple('job', revision)),
    old: undefined,
  });
  let looks = 0;
  const none = { revision: 0 as LogIndex, position: 0 };
  const history = {
    bounds: (answer: (bounds: HistoryBounds) => void) => answer({ last: none, cut: none }),
    close: () => undefined,
    read: ({ revision }: { revision: number }, eventsMax: number) => {
      const count = Math.min(eventsMax, matching - revision);
      looks += count;
      return Array.from({ length: count }, (_, at) => eventAt(revision + 1 + at));
    },
  };
  const histories = {
    clusterId: '0',
    open: () => history,
    nowMs: () => 0,
  };
  const { spaces } = new RouterBench({ partitions: 2 }).router;
  const request = {
    space: jobs,
    template: template('job', matching),
    kinds: new Set<never>(),
    cursor: undefined,
    seen: [],
  };
  let stream: NotifyStream | Failure | undefined;
  openNotify(
    { spaces, histories },
    request,
    () => undefined,
    (opened) => {
      stream = opened;
    },
  );
  if (stream === undefined || isFailure(stream)) return t.fail();
  t.not(stream.next(), undefined, 'the first message is the cursor');
  let pulls = 0;
  for (;;) {
    const message = stream.next();
    pulls += 1;
    t.true(looks <= pulls * 1_500, `${looks} events in ${pulls} pulls`);
    if (message !== undefined && !isFailure(message)) {
      t.deepEqual(
        message.events.map(({ event }) => event.place.revision as number),
        [matching],
      );
      break;
    }
    if (message !== undefined || !stream.hasMore) return t.fail(`stopped after ${looks} events`);
  }
  t.true(pulls >= 14);
  while (stream.hasMore) t.is(stream.next(), undefined);
});

test('a router full of calls still keeps sessions alive and takes receipts', (t) => {
  const bench = new RouterBench({ limits: { callsMax: 2 } });
  bench.call(read({ waitMs: Number.POSITIVE_INFINITY }));
  bench.call(read({ waitMs: Number.POSITIVE_INFINITY }));
  bench.sent();
  t.is(reasonOf(bench.call(write()).answers[0]), 'OVERLOADED');
  t.is(
    reasonOf(bench.call({ kind: 'open-session', leaseMs: 10_000, name: '' }).answers[0]),
    'OVERLOADED',
  );
  const { session, floor } = operation();
  const receipts = [{ sequence: floor, tuple: (2 ** 44 + 1) as TupleId }];
  bench.call({ kind: 'keep-session', session });
  bench.one('keep-session');
  bench.call({ kind: 'acknowledge', session, floor, receipts });
  bench.one('acknowledge');
  bench.call({ kind: 'close-session', session });
  bench.one('close-session');
});

/** Calls that may be sent again, each with what it sends to partition 1. */
const repeatables: readonly {
  readonly kind: 'count' | 'acknowledge' | 'keep-session';
  readonly request: Request;
}[] = [
  {
    kind: 'count',
    request: { kind: 'count', space: jobs, template: template('job', any), states: ['ready'] },
  },
  {
    kind: 'acknowledge',
    request: {
      kind: 'acknowledge',
      session: (2 ** 44 + 1) as SessionId,
      floor: 1 as Sequence,
      receipts: [{ sequence: 1 as Sequence, tuple: (2 ** 44 + 9) as TupleId }],
    },
  },
  { kind: 'keep-session', request: { kind: 'keep-session', session: (2 ** 44 + 1) as SessionId } },
];

for (const { kind, request } of repeatables) {
  for (const [which, epoch] of [
    ['lower', 3],
    ['equal', 4],
    ['higher', 5],
  ] as const) {
    test(`${kind} asks a leadership that does not lead no second time, where a ${which} one says so`, (t) => {
      const bench = new RouterBench();
      for (const partition of [1, 2, 3, 4]) bench.lead(partition, 4);
      const { answers } = bench.call(request);
      const first = bench.one(kind);
      bench.refuse(first, first.to, epoch);
      t.deepEqual(bench.sent(), [], 'it would say the same again, and for ever');
      if (epoch > 4) {
        bench.lead(first.to, epoch);
        t.is(bench.sent().length, 1, 'the one that is known to come leads now');
      } else {
        bench.lead(first.to, 6);
        t.is(bench.one(kind).to, first.to);
      }
      t.deepEqual(answers, []);
    });
  }

  test(`${kind} asks a newer leadership at once, if it is known when the older refuses`, (t) => {
    const bench = new RouterBench();
    bench.call(request);
    const first = bench.one(kind);
    bench.epochs.set(first.to, 2 as Term);
    bench.refuse(first, first.to, 1);
    t.is(bench.one(kind).to, first.to);
    bench.refuse(first, first.to, 1);
    t.deepEqual(bench.sent(), [], 'a copy of the refusal asks nobody anew');
  });
}

test('the leadership to ask is newer than who refused and than who was asked', (t) => {
  const term = (number: number | undefined): Term | undefined => number as Term | undefined;
  for (const [present, asked, refusedBy, next] of [
    [undefined, undefined, undefined, undefined],
    [5, undefined, undefined, 5],
    [5, 5, undefined, 5],
    [undefined, 5, 5, undefined],
    [5, 5, 5, undefined],
    [5, 5, 3, undefined],
    [5, 5, 9, undefined],
    [5, undefined, 4, 5],
    [5, undefined, 5, undefined],
    [6, 5, 3, 6],
    [6, 5, 5, 6],
    [6, 5, 6, undefined],
  ]) {
    t.is(leadershipAfter(term(present), term(asked), term(refusedBy)), term(next));
  }
});

test('a link breaks and the same leadership is reached again: what can be told again is sent again', (t) => {
  const once = operation();
  const closing = { kind: 'close-session', session: once.session } as const;
  const receipts = [{ sequence: 1, tuple: (2 ** 44 + 5) as TupleId }] as never;
  const requests: readonly Request[] = [
    write({ operation: once }),
    read(),
    { kind: 'count', space: jobs, template: template('job', any), states: ['ready'] },
    { kind: 'acknowledge', session: once.session, floor: 1 as Sequence, receipts },
    closing,
    takeOf(once, template('job', 1)),
    takeOf(once, template(any, 1)),
  ];
  for (const request of requests) {
    const bench = new RouterBench();
    const { answers } = bench.call(request);
    const first = bench.sent();
    for (const { to } of first) bench.breakLink(to);
    t.deepEqual(bench.sent(), [], request.kind);
    for (const { to } of first) bench.lead(to, 1);
    const again = bench.sent();
    t.deepEqual(
      again.map(({ to, message }) => [to, message.kind]),
      first.map(({ to, message }) => [to, message.kind]),
    );
    t.deepEqual(answers, []);
  }
});

test('a link breaks under a change that cannot be told again: its outcome is unknown', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(write());
  const sent = bench.one('mutate');
  bench.breakLink(sent.to);
  t.deepEqual(answers.map(reasonOf), ['OUTCOME_UNKNOWN']);
  bench.lead(sent.to, 1);
  t.deepEqual(bench.sent(), []);
});

test('the answer to what was sent before a link broke counts, but for one that rests on the moment', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(read());
  const sent = bench.one('read');
  bench.breakLink(sent.to);
  bench.lead(sent.to, 1);
  const again = bench.one('read');
  t.true(again.m > sent.m);
  bench.reply(sent, sent.to, { kind: 'nothing', m: sent.m, cancelled: false });
  t.deepEqual(answers, []);
});

test('a session whose end was asked for may have ended where the link broke and nobody was reached again', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call({ kind: 'close-session', session: operation().session });
  const sent = bench.one('close-session');
  bench.breakLink(sent.to);
  bench.clock.advance(11_000);
  t.deepEqual(answers.map(reasonOf), ['OUTCOME_UNKNOWN']);

  const other = new RouterBench();
  const refused = other.call({ kind: 'close-session', session: operation().session });
  const asked = other.one('close-session');
  other.lead(asked.to, undefined);
  other.refuse(asked, asked.to, 1);
  other.clock.advance(11_000);
  t.deepEqual(refused.answers.map(reasonOf), ['NO_LEADER']);
});
