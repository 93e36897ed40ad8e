import test from 'ava';
import { any, RouterBench, stored, template, tuple } from '../../test/router/bench.ts';
import type { Attempt, Sequence, SessionId, Term } from '../base/ids.ts';
import type { ToLeader } from '../coordination/messages.ts';
import type { SessionOperation } from '../space/command.ts';
import type { Answer, Request } from './request.ts';

const jobs = { name: 'jobs' };
const tuples = [stored(1, 1, tuple('job', 1))];
const handed = { kind: 'handed', tuples } as const;

function operation(attempt = 1): SessionOperation {
  return {
    kind: 'session',
    session: (2 ** 44 + 1) as SessionId,
    sequence: 3 as Sequence,
    attempt: attempt as Attempt,
    floor: 3 as Sequence,
  };
}

type TakeOptions = Partial<Extract<Request, { kind: 'take' }>>;

function take(options: TakeOptions = {}): Request {
  return {
    kind: 'take',
    space: jobs,
    operation: operation(),
    template: template('job', any),
    max: 1,
    min: 1,
    waitMs: 1_000,
    ...options,
  };
}

function reasonOf(answer: Answer | undefined): string {
  return answer?.kind === 'failed' ? answer.failure.reason : `${answer?.kind}`;
}

test('T1 a pinned take is sent again for a new epoch; only the latest sending is answered', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(take());
  const first = bench.one('take');
  bench.lead(first.to, 2);
  const second = bench.one('take');
  t.deepEqual([second.epoch, second.m], [2 as Term, 2]);
  bench.reply(first, first.to, { kind: 'result', result: handed, m: 1 });
  t.deepEqual(answers, []);
  bench.reply(second, second.to, { kind: 'result', result: handed, m: 2 });
  t.deepEqual(answers, [{ kind: 'found', tuples, delivery: undefined }]);
});

test('a take that does not wait says so with its first message', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(take({ waitMs: 0 }));
  const sent = bench.one('take');
  t.true(sent.waitEnded);
  bench.reply(sent, sent.to, { kind: 'nothing', m: 1, cancelled: false });
  t.deepEqual(answers, [{ kind: 'nothing', scope: 'linearizable' }]);
});

test('a take that does not wait is not given up after 50 ms: it has as long as a write', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(take({ waitMs: 0 }));
  bench.clock.advance(9_999);
  t.deepEqual(answers, []);
  bench.clock.advance(1);
  t.is(reasonOf(answers[0]), 'OUTCOME_UNKNOWN');
});

test('a take refused in doubt is an unknown outcome that keeps the reason and the limit', (t) => {
  const refusal = { kind: 'refused', reason: 'WAITERS_EXHAUSTED', m: 1 } as const;
  const message = '9 calls wait in this partition, limit 9';
  // Pinned, and not: there earlier attempts are not fenced yet.
  for (const options of [{}, { template: template(any, any), operation: operation(2) }]) {
    const bench = new RouterBench();
    const { answers } = bench.call(take(options));
    const [sent] = bench.sent();
    if (sent === undefined) return t.fail();
    bench.reply(sent.message, sent.to, { ...refusal, message, inDoubt: true });
    const [answer] = answers;
    t.like(answer?.kind === 'failed' ? answer.failure : {}, {
      reason: 'OUTCOME_UNKNOWN',
      message: `partition ${sent.to} refused it (WAITERS_EXHAUSTED: ${message}); another sending of it may have been carried out`,
      partition: sent.to,
    });
  }
});

test('3.20 a waiting take is answered within 50 ms of its end', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(take());
  bench.clock.advance(1_050);
  t.is(reasonOf(answers[0]), 'OUTCOME_UNKNOWN');
  t.is(bench.router.openCalls, 0);
});

test('C2 an unpinned take accepts one offer and declines the others', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(take({ template: template(any, any) }));
  const registered = bench.sent();
  t.deepEqual(
    registered.map(({ message }) => message.kind),
    ['register', 'register', 'register', 'register'],
  );
  const call = registered[0]?.message as ToLeader;
  const offer = { kind: 'offer', operation: operation(), offer: 1 } as const;
  bench.reply(call, 2, offer);
  t.is(bench.one('accept').to as number, 2);
  bench.reply(call, 3, offer);
  t.is(bench.one('decline').to as number, 3);
  bench.reply(call, 2, { kind: 'result', result: handed, m: 0 });
  t.is(answers[0]?.kind, 'found');
  bench.sent();
  bench.reply(call, 4, offer);
  t.is(bench.one('withdraw').to as number, 4, 'an offer to a call that is no more is answered too');
});

test('C8 a take abandoned while it accepts leaves no waiter anywhere, and takes no later offer', (t) => {
  const bench = new RouterBench();
  const { number, answers } = bench.call(take({ template: template(any, any) }));
  const call = bench.sent()[0]?.message as ToLeader;
  const offer = { kind: 'offer', operation: operation(), offer: 1 } as const;
  bench.reply(call, 2, offer);
  t.is(bench.one('accept').to as number, 2);
  bench.router.abandon(number);
  t.deepEqual(
    bench.sent().map(({ to, message }) => [message.kind, to as number]),
    [1, 2, 3, 4].map((to) => ['withdraw', to]),
  );
  bench.reply(call, 3, offer);
  t.is(bench.one('withdraw').to as number, 3, 'one that was on its way is answered too');
  bench.reply(call, 2, { kind: 'result', result: handed, m: 0 });
  t.deepEqual(answers, []);
});

test('C1 a cancel from elsewhere fences every partition, and registers nowhere', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call({
    kind: 'cancel-take',
    space: jobs,
    operation: operation(2),
    template: template(any, any),
  });
  const fences = bench.sent();
  t.true(fences.every(({ message }) => message.kind === 'fence'));
  for (const { to, message } of fences) {
    t.deepEqual(answers, []);
    bench.reply(message, to, { kind: 'fenced' });
  }
  t.deepEqual(answers, [{ kind: 'cancelled' }]);
  t.false(bench.sent().some(({ message }) => message.kind === 'register'));
});

test('a cancel is an attempt above the first', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call({
    kind: 'cancel-take',
    space: jobs,
    operation: operation(1),
    template: template('job', any),
  });
  t.is(reasonOf(answers[0]), 'REQUEST_INVALID');
});

interface Own {
  readonly bench: RouterBench;
  readonly session: SessionId;
  readonly home: number;
}

/** A bench whose router has a session of its own, and takes in it. */
function own(...requests: TakeOptions[]): Own & { readonly answers: Answer[][] } {
  const bench = new RouterBench();
  const answers = requests.map(
    (options) => bench.call(take({ operation: undefined, ...options })).answers,
  );
  const open = bench.one('open-session');
  const session = (open.to * 2 ** 44 + 9) as SessionId;
  bench.reply(open, open.to, { kind: 'session-opened', session, leaseMs: 10_000 });
  return { bench, session, home: open.to, answers };
}

test('4.23 takes without a session share one of the node, opened at first use', (t) => {
  const { bench, session, answers } = own({}, {});
  const sent = bench.sent();
  t.deepEqual(
    sent.map(({ message }) =>
      message.kind === 'take'
        ? [message.operation.session, message.operation.sequence as number]
        : [],
    ),
    [
      [session, 1],
      [session, 2],
    ],
  );
  const [first] = sent;
  if (first === undefined) return t.fail();
  bench.reply(first.message, first.to, { kind: 'result', result: handed, m: 1 });
  const [answer] = answers[0] ?? [];
  if (answer?.kind !== 'found') return t.fail();
  bench.clock.turn();
  t.deepEqual(bench.sent(), [], 'no receipt before the answer is on the connection');
  answer.delivery?.delivered();
  bench.clock.turn();
  const receipt = bench.one('acknowledge');
  t.deepEqual(receipt.receipts, [{ sequence: 1 as Sequence, tuple: tuples[0]?.id as never }]);
  t.is(receipt.floor as number, 1, 'the sequence stays open until its receipt is confirmed');
  bench.clock.advance(250);
  t.is(bench.one('acknowledge').receipts.length, 1, '4.19 it is sent again until confirmed');
});

test('4.21 a lost hand-over goes back by the floor where nothing older is open', (t) => {
  const { bench, answers } = own({});
  const sent = bench.one('take');
  bench.reply(sent, sent.to, { kind: 'result', result: handed, m: 1 });
  const [answer] = answers[0] ?? [];
  if (answer?.kind !== 'found') return t.fail();
  answer.delivery?.lost();
  const floor = bench.one('acknowledge');
  t.deepEqual([floor.receipts.length, floor.floor as number, floor.to as number], [0, 2, 1]);
});

test('a lost hand-over above a take that waits makes that take move, and the session end', (t) => {
  const { bench, session, answers } = own({ waitMs: Number.POSITIVE_INFINITY }, {});
  const [waiting, lost] = bench.sent();
  if (!waiting || !lost) return t.fail();
  bench.reply(lost.message, lost.to, { kind: 'result', result: handed, m: 1 });
  const [answer] = answers[1] ?? [];
  if (answer?.kind !== 'found') return t.fail();
  answer.delivery?.lost();
  t.deepEqual(bench.sent(), []);
  bench.clock.advance(1_030);
  const cancelled = bench.one('take');
  t.true(cancelled.cancelled);
  bench.reply(cancelled, cancelled.to, { kind: 'nothing', m: cancelled.m, cancelled: true });
  t.deepEqual(answers[0], [], 'its caller hears nothing of the move');
  const after = bench.sent();
  t.deepEqual(
    after.map(({ message }) => message.kind),
    ['close-session', 'open-session'],
  );
  const [close, open] = after;
  if (close?.message.kind !== 'close-session' || open === undefined) return t.fail();
  t.is(close.message.session, session);
  const next = (open.to * 2 ** 44 + 10) as SessionId;
  bench.reply(open.message, open.to, { kind: 'session-opened', session: next, leaseMs: 10_000 });
  const again = bench.one('take');
  t.deepEqual([again.operation.session, again.waitEnded], [next, false]);
});

test('a take refused in doubt at its only sending does not make older takes move', (t) => {
  const { bench, session, answers } = own({ waitMs: Number.POSITIVE_INFINITY }, {});
  const [waiting, refused] = bench.sent();
  if (waiting?.message.kind !== 'take' || !refused) return t.fail();
  const refusal = { kind: 'refused', reason: 'TOO_MANY_IN_FLIGHT', message: 'full', m: 1 } as const;
  bench.reply(refused.message, refused.to, { ...refusal, inDoubt: true });
  t.deepEqual(answers[1]?.map(reasonOf), ['OUTCOME_UNKNOWN']);
  bench.clock.advance(3_000);
  t.deepEqual(bench.sent(), [], 'the session goes on, for new takes too');
  bench.call(take({ operation: undefined, waitMs: 0 }));
  const next = bench.one('take');
  t.deepEqual([next.operation.session, next.operation.floor as number], [session, 1]);
});

for (const older of ['waits', 'is over']) {
  test(`K4 what a copy of a refused take got goes back within a minute, where an older one ${older}`, (t) => {
    const { bench, session } = own({ waitMs: Number.POSITIVE_INFINITY }, {});
    const [first, refused] = bench.sent();
    if (first?.message.kind !== 'take' || !refused) return t.fail();
    const refusal = { kind: 'refused', reason: 'TOO_MANY_IN_FLIGHT', message: 'full' } as const;
    bench.reply(refused.message, refused.to, { ...refusal, m: 1, inDoubt: true });
    const nothing = { kind: 'nothing', m: 1, cancelled: false } as const;
    if (older === 'is over') bench.reply(first.message, first.to, nothing);
    const kinds = new Set<string>();
    for (let second = 1; second <= 60; second += 1) {
      bench.clock.advance(1_000);
      for (const { to, message } of bench.sent()) {
        kinds.add(message.kind);
        if (message.kind === 'keep-session')
          bench.reply(message, to, { kind: 'session-kept', leaseMs: 10_000 });
        if (message.kind === 'take') {
          t.deepEqual([message.cancelled, second], [true, 60]);
          bench.reply(message, to, { kind: 'nothing', m: message.m, cancelled: true });
        }
        if (message.kind === 'close-session') t.deepEqual([message.session, second], [session, 60]);
      }
    }
    for (const { message } of bench.sent()) {
      kinds.add(message.kind);
      if (message.kind === 'close-session') t.is(message.session, session);
    }
    t.deepEqual([...kinds].sort(), [
      'close-session',
      'keep-session',
      ...(older === 'waits' ? ['open-session', 'take'] : []),
    ]);
  });
}

test('a take whose move stays without an answer begins again all the same', (t) => {
  const { bench, answers } = own({ waitMs: Number.POSITIVE_INFINITY }, {});
  const [, lost] = bench.sent();
  if (!lost) return t.fail();
  bench.reply(lost.message, lost.to, { kind: 'result', result: handed, m: 1 });
  const [answer] = answers[1] ?? [];
  if (answer?.kind !== 'found') return t.fail();
  answer.delivery?.lost();
  bench.clock.advance(1_500);
  t.deepEqual(answers[0], []);
  t.true(bench.sent().some(({ message }) => message.kind === 'open-session'));
});

test('the session of the node is kept alive, and its takes begin again when it has ended', (t) => {
  const { bench, session, answers } = own({ waitMs: Number.POSITIVE_INFINITY });
  const first = bench.one('take');
  bench.clock.advance(4_000);
  const keep = bench.one('keep-session');
  t.is(keep.session, session);
  bench.reply(keep, keep.to, { kind: 'stop', why: 'ended' });
  const [cancel] = bench.sent();
  if (cancel?.message.kind !== 'take') return t.fail();
  bench.reply(first, first.to, { kind: 'stop', why: 'ended' });
  t.deepEqual(answers[0], []);
  t.is(bench.one('open-session').kind, 'open-session');
});

test('a take that was given up before the node had a session takes nothing when it has one', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(take({ operation: undefined, waitMs: 10 }));
  const open = bench.one('open-session');
  bench.clock.advance(100);
  t.deepEqual(answers.map(reasonOf), ['NO_LEADER']);
  const session = (open.to * 2 ** 44 + 9) as SessionId;
  bench.reply(open, open.to, { kind: 'session-opened', session, leaseMs: 10_000 });
  t.deepEqual(bench.sent(), []);
});

test('3.20 a take whose wait ends while its session is opened is answered within 50 ms of its end', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(take({ operation: undefined, waitMs: 100 }));
  const open = bench.one('open-session');
  bench.clock.advance(120);
  const session = (open.to * 2 ** 44 + 9) as SessionId;
  bench.reply(open, open.to, { kind: 'session-opened', session, leaseMs: 10_000 });
  const sent = bench.one('take');
  t.true(sent.waitEnded, 'it looks once');
  bench.clock.advance(29);
  t.deepEqual(answers, []);
  bench.clock.advance(1);
  t.deepEqual(answers.map(reasonOf), ['NO_LEADER']);
  bench.reply(sent, sent.to, { kind: 'result', result: handed, m: 1 });
  const floor = bench.one('acknowledge');
  t.deepEqual(
    [floor.receipts.length, floor.floor as number],
    [0, 2],
    'what it found afterwards goes back',
  );
  t.is(answers.length, 1);
});

test('a take whose session has ended begins again in another session at once', (t) => {
  const { bench, answers } = own({ waitMs: Number.POSITIVE_INFINITY });
  const sent = bench.one('take');
  bench.reply(sent, sent.to, { kind: 'stop', why: 'ended' });
  const open = bench.one('open-session');
  const session = (open.to * 2 ** 44 + 10) as SessionId;
  bench.reply(open, open.to, { kind: 'session-opened', session, leaseMs: 10_000 });
  t.is(bench.one('take').operation.session, session);
  t.deepEqual(answers[0], []);
});

test('a take that waits for long does not use up the sequences of those that come and go', (t) => {
  const { bench, session } = own({ waitMs: Number.POSITIVE_INFINITY });
  const waiting = bench.one('take');
  let used: SessionId = session;
  let takes = 0;
  while (used === session && takes <= 4_096) {
    bench.call(take({ operation: undefined, waitMs: 0 }));
    const [sent] = bench.sent();
    if (sent?.message.kind === 'open-session') {
      const next = (sent.to * 2 ** 44 + 10) as SessionId;
      bench.reply(sent.message, sent.to, {
        kind: 'session-opened',
        session: next,
        leaseMs: 10_000,
      });
      used = bench.one('take').operation.session;
    } else if (sent?.message.kind === 'take') {
      bench.reply(sent.message, sent.to, { kind: 'nothing', m: 1, cancelled: false });
      takes += 1;
    } else return t.fail();
  }
  t.is(takes, 3_999, 'a leader counts 4,096 from the floor on');
  t.not(used, session);
  bench.reply(waiting, waiting.to, { kind: 'nothing', m: 1, cancelled: false });
  bench.clock.advance(30);
  const close = bench.one('close-session');
  t.is(close.session, session, 'the old session goes when its last take has ended');
});

test('a take whose space is dropped while it accepts is answered with what it got', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(take({ template: template(any, 1) }));
  const call = bench.sent()[0]?.message as ToLeader;
  bench.reply(call, 1, { kind: 'offer', operation: operation(), offer: 1 });
  t.is(bench.one('accept').to as number, 1);
  bench.drop('jobs');
  t.deepEqual(answers, []);
  bench.reply(call, 1, { kind: 'result', result: handed, m: 0 });
  t.deepEqual(answers, [{ kind: 'found', tuples, delivery: undefined }]);
});

test('a take whose space is dropped while it waits ends, and its waiters with it', (t) => {
  const bench = new RouterBench();
  const { answers } = bench.call(
    take({ template: template(any, 1), waitMs: Number.POSITIVE_INFINITY }),
  );
  const others = bench.call(take({ template: template(any, 1), waitMs: 0 }));
  bench.sent();
  bench.drop('jobs');
  t.is(reasonOf(answers[0]), 'SPACE_NOT_FOUND');
  t.deepEqual(
    bench.sent().map(({ message }) => message.kind),
    ['withdraw', 'withdraw', 'withdraw', 'withdraw'],
  );
  t.deepEqual(others.answers, [], 'what does not wait has its answer on the way');
});
