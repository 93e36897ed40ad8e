import test from 'ava';
import type { PartitionId, Term } from '../base/ids.ts';
import type { Result } from '../space/outcome.ts';
import type { Answer, ToLeader } from './messages.ts';
import { PinnedTake } from './pinned-take.ts';
import type { TakeAnswer } from './take-answer.ts';
import { TakeCoordinator } from './take-coordinator.ts';
import { any, operation, query, template } from './testing-bed.ts';

const one = 1 as PartitionId;
const two = 2 as PartitionId;
const epoch = 5 as Term;
const result: Result = { kind: 'handed', tuples: [] };
const session = 1 as Parameters<typeof operation>[0];

interface Caller {
  readonly sent: { readonly to: PartitionId; readonly message: ToLeader }[];
  readonly answers: TakeAnswer[];
  kinds(): string[];
}

function newCaller(): Caller {
  const sent: Caller['sent'][0][] = [];
  return {
    sent,
    answers: [],
    kinds: () => sent.splice(0).map(({ to, message }) => `${message.kind} ${to}`),
  };
}

function coordinator(attempt = 1): { caller: Caller; take: TakeCoordinator } {
  const caller = newCaller();
  const take = new TakeCoordinator({
    call: 3,
    operation: operation(session, 1, { attempt }),
    query: query(template('job', any)),
    partitions: [one, two],
    epochOf: () => epoch,
    ports: {
      send: (to, message) => caller.sent.push({ to, message }),
      finish: (answer) => caller.answers.push(answer),
    },
    nowMs: 0,
  });
  take.start();
  return { caller, take };
}

function hear(
  take: TakeCoordinator | PinnedTake,
  from: PartitionId,
  answer: Answer,
  of: Term = epoch,
): void {
  take.receive({ ...answer, call: 3, partition: from, epoch: of }, 10);
}

function offer(take: TakeCoordinator, from: PartitionId, n: number, of: Term = epoch): void {
  hear(take, from, { kind: 'offer', operation: operation(session, 1), offer: n }, of);
}

test('C1: the first attempt registers everywhere, with rising r', (t) => {
  const { caller } = coordinator();
  t.deepEqual(
    caller.sent.map(({ message }) => message.kind === 'register' && message.r),
    [1, 2],
  );
});

test('C1: a later attempt fences everywhere first, and registers when all have fenced [4.13]', (t) => {
  const { caller, take } = coordinator(2);
  t.deepEqual(caller.kinds(), ['fence 1', 'fence 2']);
  hear(take, one, { kind: 'fenced' });
  hear(take, one, { kind: 'fenced' });
  t.deepEqual(caller.kinds(), []);
  hear(take, two, { kind: 'fenced' });
  t.deepEqual(caller.kinds(), ['register 1', 'register 2']);
});

test('C1: the first RESULT ends the attempt at once, without the other fences', (t) => {
  const { caller, take } = coordinator(2);
  hear(take, two, { kind: 'result', result, m: 0 });
  t.deepEqual(caller.answers, [{ kind: 'result', partition: two, result }]);
});

test('C2: an offer is accepted; the same one again is ignored; another is declined and marked', (t) => {
  const { caller, take } = coordinator();
  caller.kinds();
  offer(take, one, 7);
  offer(take, one, 7);
  t.deepEqual(caller.kinds(), ['accept 1']);
  offer(take, two, 9);
  const [declined] = caller.sent;
  t.is(declined?.message.kind === 'decline' && declined.message.r, 3);
  caller.kinds();
  hear(take, one, { kind: 'miss', offerEpoch: epoch, offer: 7 });
  t.deepEqual(caller.kinds(), ['register 1', 'register 2'], 'C4');
});

test('C2: an offer that comes after the end is answered with CANCEL', (t) => {
  const { caller, take } = coordinator();
  take.cancel(10);
  caller.kinds();
  offer(take, one, 7);
  t.deepEqual(caller.kinds(), ['withdraw 1']);
});

test('C3: an acceptance ends only with the answer to this very offer', (t) => {
  const { caller, take } = coordinator();
  caller.kinds();
  offer(take, one, 7);
  caller.kinds();
  hear(take, one, { kind: 'miss', offerEpoch: 4 as Term, offer: 7 });
  hear(take, one, { kind: 'miss', offerEpoch: epoch, offer: 6 });
  hear(take, two, { kind: 'miss', offerEpoch: epoch, offer: 7 });
  t.deepEqual(caller.kinds(), []);
});

test('C3: a new epoch or a restored link gets the same acceptance, and nobody else anything', (t) => {
  const { caller, take } = coordinator();
  offer(take, one, 7);
  caller.kinds();
  take.leadership(one, 6 as Term, 20);
  const [again] = caller.sent.splice(0);
  t.deepEqual(again?.message.kind === 'accept' && [again.message.epoch, again.message.offer], [
    epoch,
    7,
  ]);
  take.linkBroken(one);
  take.leadership(one, 7 as Term, 30);
  t.deepEqual(caller.kinds(), []);
  take.linkRestored(one, 40);
  t.deepEqual(caller.kinds(), ['accept 1']);
});

test('C5: a new epoch at another partition is sent again what is open there', (t) => {
  const { caller, take } = coordinator();
  offer(take, one, 7);
  caller.kinds();
  take.leadership(two, 6 as Term, 20);
  const [again] = caller.sent;
  t.is(again?.message.kind === 'register' && again.message.query.waitedMs, 20);
  take.leadership(two, 5 as Term, 30);
  t.is(caller.sent.length, 1, 'an older notice is not followed');
  const fencing = coordinator(2);
  fencing.caller.kinds();
  fencing.take.leadership(two, 6 as Term, 20);
  t.deepEqual(fencing.caller.kinds(), ['fence 2']);
});

test('C5: who does not lead yet is asked again', (t) => {
  const { caller, take } = coordinator();
  caller.kinds();
  hear(take, one, { kind: 'not-leader', definite: true });
  take.tick(20);
  t.deepEqual(caller.kinds(), ['register 1']);
});

test('C6: "nothing" is answered when the wait has ended and EMPTY has come from all [3.29]', (t) => {
  const { caller, take } = coordinator();
  hear(take, one, { kind: 'empty' });
  take.waitEnded(100);
  t.deepEqual(caller.answers, []);
  hear(take, two, { kind: 'empty' });
  t.deepEqual(caller.answers, [{ kind: 'nothing' }]);
});

test('C6: EMPTY is remembered through an acceptance that misses', (t) => {
  const { caller, take } = coordinator();
  hear(take, one, { kind: 'empty' });
  hear(take, two, { kind: 'empty' });
  offer(take, one, 7);
  take.waitEnded(100);
  t.deepEqual(caller.answers, []);
  hear(take, one, { kind: 'miss', offerEpoch: epoch, offer: 7 });
  t.deepEqual(caller.answers, [{ kind: 'nothing' }]);
});

test('C6: when the limit passes first the answer is UNAVAILABLE, or OUTCOME_UNKNOWN while accepting or fencing [3.20]', (t) => {
  const waiting = coordinator();
  hear(waiting.take, one, { kind: 'empty' });
  waiting.take.waitEnded(100);
  waiting.take.tick(130);
  t.deepEqual(waiting.caller.answers, []);
  waiting.take.tick(150);
  t.deepEqual(waiting.caller.answers, [{ kind: 'unavailable', partitions: [two] }]);

  const accepting = coordinator();
  offer(accepting.take, one, 7);
  accepting.take.waitEnded(100);
  accepting.take.tick(150);
  t.deepEqual(accepting.caller.answers, [{ kind: 'outcome-unknown', partitions: [one] }]);

  const fencing = coordinator(2);
  hear(fencing.take, one, { kind: 'fenced' });
  fencing.take.waitEnded(100);
  fencing.take.tick(150);
  t.deepEqual(fencing.caller.answers, [{ kind: 'outcome-unknown', partitions: [two] }]);
});

test('C7: a cancel is answered at once while waiting, after MISS while accepting, after all fences while fencing [3.30]', (t) => {
  const waiting = coordinator();
  waiting.take.cancel(10);
  t.deepEqual(waiting.caller.answers, [{ kind: 'cancelled' }]);

  const accepting = coordinator();
  offer(accepting.take, one, 7);
  accepting.take.cancel(10);
  t.deepEqual(accepting.caller.answers, []);
  hear(accepting.take, one, { kind: 'miss', offerEpoch: epoch, offer: 7 });
  t.deepEqual(accepting.caller.answers, [{ kind: 'cancelled' }]);

  const late = coordinator();
  offer(late.take, one, 7);
  late.take.cancel(10);
  hear(late.take, one, { kind: 'result', result, m: 0 });
  t.deepEqual(late.caller.answers, [{ kind: 'result', partition: one, result }]);

  const fencing = coordinator(2);
  fencing.take.cancel(10);
  hear(fencing.take, one, { kind: 'fenced' });
  t.deepEqual(fencing.caller.answers, []);
  hear(fencing.take, two, { kind: 'fenced' });
  t.deepEqual(fencing.caller.answers, [{ kind: 'cancelled' }]);
});

test('C8: RESULT and STOP end the attempt from anywhere, with a courtesy to all', (t) => {
  const { caller, take } = coordinator();
  caller.kinds();
  hear(take, two, { kind: 'stop', why: 'fenced' });
  t.deepEqual(caller.answers, [{ kind: 'stop', why: 'fenced' }]);
  t.deepEqual(caller.kinds(), ['withdraw 1', 'withdraw 2']);
  hear(take, one, { kind: 'result', result, m: 0 });
  t.is(caller.answers.length, 1);
});

test('a refusal is told when no acceptance is in flight, and never as definite before all have fenced', (t) => {
  const refused = { kind: 'refused', reason: 'SESSION_BUSY', message: '', m: 1 } as const;
  const { caller, take } = coordinator();
  offer(take, one, 7);
  hear(take, two, refused);
  t.deepEqual(caller.answers, []);
  hear(take, one, { kind: 'miss', offerEpoch: epoch, offer: 7 });
  t.deepEqual(
    caller.answers.map(({ kind }) => kind),
    ['refused'],
  );
  const fencing = coordinator(2);
  hear(fencing.take, two, refused);
  const refusal = { partition: two, reason: 'SESSION_BUSY', message: '' } as const;
  t.deepEqual(fencing.caller.answers, [
    { kind: 'outcome-unknown', partitions: [one, two], refusal },
  ]);
});

test('T1: a refusal in doubt, or of a later send, is an unknown outcome [10.2]', (t) => {
  const refused = { kind: 'refused', reason: 'SESSION_BUSY', message: '', m: 1 } as const;
  const answers = (inDoubt: boolean): string[] => {
    const { caller, take } = pinned();
    take.receive({ ...refused, inDoubt, call: 1, partition: one, epoch });
    return caller.answers.map(({ kind }) => kind);
  };
  t.deepEqual([answers(false), answers(true)], [['refused'], ['outcome-unknown']]);
});

test('C8: an attempt that is abandoned withdraws everywhere, answers nothing and takes no offer', (t) => {
  for (const accepts of [false, true]) {
    const { caller, take } = coordinator();
    if (accepts) offer(take, one, 1);
    caller.kinds();
    take.abandon();
    t.deepEqual(caller.kinds(), ['withdraw 1', 'withdraw 2']);
    hear(take, one, { kind: 'result', result, m: 0 });
    offer(take, two, 2);
    t.deepEqual(caller.kinds(), ['withdraw 2']);
    take.leadership(two, 6 as Term, 20);
    take.tick(1_000);
    take.abandon();
    t.deepEqual(caller.kinds(), []);
    t.deepEqual(caller.answers, []);
  }
});

function pinned(
  attempt = 1,
  known: Term | undefined = epoch,
): { caller: Caller; take: PinnedTake } {
  const caller = newCaller();
  const take = new PinnedTake({
    call: 3,
    operation: operation(session, 1, { attempt }),
    query: query(template('job', any)),
    partition: one,
    epoch: known,
    ports: {
      send: (to, message) => caller.sent.push({ to, message }),
      finish: (answer) => caller.answers.push(answer),
    },
    nowMs: 0,
  });
  take.start(0);
  return { caller, take };
}

test('T1: a pinned take is sent with a higher m for a new epoch, a link, the end of the wait and a cancel', (t) => {
  const { caller, take } = pinned();
  take.leadership(6 as Term, 10);
  take.linkBroken();
  take.waitEnded(20);
  take.linkRestored(30);
  take.cancel(40);
  t.deepEqual(
    caller.sent.map(({ message }) =>
      message.kind === 'take'
        ? [message.m, message.epoch, message.waitEnded, message.cancelled]
        : [],
    ),
    [
      [1, 5, false, false],
      [2, 6, false, false],
      [3, 6, true, false],
      [4, 6, true, true],
    ],
  );
});

test('T1: RESULT and NOTHING count only for the latest send, STOP always', (t) => {
  const { caller, take } = pinned();
  take.waitEnded(20);
  hear(take, one, { kind: 'nothing', m: 1, cancelled: false });
  hear(take, one, { kind: 'result', result, m: 1 });
  t.deepEqual(caller.answers, []);
  hear(take, one, { kind: 'nothing', m: 2, cancelled: false });
  t.deepEqual(caller.answers, [{ kind: 'nothing' }]);
  const stopped = pinned();
  stopped.take.waitEnded(20);
  hear(stopped.take, one, { kind: 'stop', why: 'ended' });
  t.deepEqual(stopped.caller.answers, [{ kind: 'stop', why: 'ended' }]);
});

test('T1: without an answer the limit ends it: UNAVAILABLE if it was never sent, else OUTCOME_UNKNOWN', (t) => {
  const silent = newCaller();
  const take = new PinnedTake({
    call: 3,
    operation: operation(session, 1),
    query: query(template('job', any)),
    partition: one,
    epoch: undefined,
    ports: {
      send: (to, message) => silent.sent.push({ to, message }),
      finish: (answer) => silent.answers.push(answer),
    },
    nowMs: 0,
  });
  take.start(0);
  take.waitEnded(10);
  take.tick(100);
  t.deepEqual(silent.answers, [{ kind: 'unavailable', partitions: [one] }]);
  const sent = pinned();
  sent.take.waitEnded(10);
  sent.take.tick(100);
  t.deepEqual(sent.caller.answers, [{ kind: 'outcome-unknown', partitions: [one] }]);
});
