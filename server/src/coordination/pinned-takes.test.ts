import test from 'ava';
import type { Term } from '../base/ids.ts';
import {
  any,
  handed,
  mutate,
  newGroup,
  newTuple,
  openSession,
  operation,
  put,
  query,
  register,
  take,
  talk,
  template,
  testSpace,
  withSession,
  write,
} from './testing-bed.ts';

const job = template('job', any);

test('T2: a TAKE of another epoch is dropped', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.elect();
  put(group, newTuple('job', 1));
  const old = { epoch: (group.epoch - 1) as Term };
  group.receive(1, take(group, operation(session, 1), job, old));
  t.is(group.pending.length, 0);
  t.deepEqual(group.kinds(), []);
});

test('T2: a copy of a TAKE that comes after its answer does nothing, also when its tuple has gone', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const late = take(group, operation(session, 1), job, { waitEnded: true });
  group.receive(1, late);
  t.deepEqual(group.kinds(), ['nothing']);
  put(group, newTuple('job', 1));
  group.receive(1, late);
  t.is(group.pending.length, 0);
});

test('T2: a continuation after KNOW whose m was passed meanwhile is dropped', (t) => {
  const group = newGroup();
  const session = openSession(group);
  group.receive(1, take(group, operation(session, 1), job, { m: 1, waitEnded: true }));
  group.receive(1, take(group, operation(session, 1), job, { m: 2, waitEnded: true }));
  talk(group);
  t.deepEqual(
    group.take('nothing').map(({ m }) => m),
    [2],
  );
});

test('T2: the numbers are kept until the floor passes; beyond 4,096 the session is busy', (t) => {
  const group = newGroup(1, { sessionOperationsMax: 2 });
  const session = withSession(group);
  for (let q = 1; q <= 3; q += 1) {
    group.receive(1, take(group, operation(session, q), job, { waitEnded: true }));
  }
  t.deepEqual(group.kinds(), ['nothing', 'nothing', 'refused']);
  group.receive(1, take(group, operation(session, 4, { floor: 4 }), job, { waitEnded: true }));
  t.deepEqual(group.kinds(), ['nothing']);
});

test('a refusal as busy is definite for a first sending, and no copy of it acts when there is room', (t) => {
  const group = newGroup(1, { sessionOperationsMax: 2 });
  const session = withSession(group);
  const send = (sequence: number, { attempt = 1, floor = 1, m = 1 } = {}): unknown[] => {
    const op = operation(session, sequence, { attempt, floor });
    group.receive(1, { ...write(group, op, newTuple('job', sequence)), m });
    group.settle();
    return group.said
      .splice(0)
      .map(({ message }) =>
        message.kind === 'refused' ? (message.inDoubt ?? false) : message.kind,
      );
  };
  t.deepEqual([send(1), send(2), send(3), send(4)], [['result'], ['result'], [false], [false]]);
  // An earlier attempt, or an earlier leadership, may have carried it out.
  t.deepEqual(send(5, { attempt: 2 }), [true]);
  t.deepEqual(send(6, { m: 2 }), [true]);
  // There is room: what was refused stays so, its next attempt and what is new go on.
  t.deepEqual(send(7, { floor: 3 }), ['result']);
  t.deepEqual(send(3, { floor: 3 }), [false]);
  t.deepEqual(send(3, { attempt: 2, floor: 3 }), ['result']);
  t.is(group.space.counts().ready, 4);
  t.deepEqual(send(8, { floor: 7 }), ['result']);
  t.deepEqual(send(3, { floor: 3 }), ['stop']);
});

test('an operation below the floor that any message of its client told is stopped [4.15]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 5, { floor: 5 }), job, { waitEnded: true }));
  put(group, newTuple('job', 1));
  group.kinds();
  group.receive(1, take(group, operation(session, 4), job));
  t.deepEqual(
    group.take('stop').map(({ why }) => why),
    ['closed'],
  );
});

test('T3: an attempt above 1 logs its fence first, even where a result exists [4.13]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('job', 1));
  group.receive(1, take(group, operation(session, 1), job));
  group.commit();
  group.take('result');
  group.receive(2, take(group, operation(session, 1, { attempt: 2 }), job));
  t.deepEqual(
    group.proposed.map(({ kind }) => kind),
    ['fence'],
  );
  t.deepEqual(group.kinds(), []);
  group.commit();
  t.is(handed(group.take('result')[0]).length, 1);
});

test('T3: a newer attempt is not kept out by an entry of an older one that is void', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 1), job));
  const tuple = newTuple('job', 1);
  // The write comes behind the fence in the log, and is handed to the older attempt, still in line.
  group.receive(2, take(group, operation(session, 1, { attempt: 2 }), job, { call: 9 }));
  group.receive(3, write(group, undefined, tuple));
  group.settle();
  t.deepEqual(
    group.take('stop').map(({ call }) => call),
    [1],
  );
  t.deepEqual(
    group
      .take('result')
      .map(({ call }) => call)
      .sort(),
    [1_000_000, 9],
  );
});

test('T4: a match that is ready is handed by one entry', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const ids = put(group, newTuple('job', 1), newTuple('job', 2));
  group.receive(1, take(group, operation(session, 1), job));
  t.deepEqual(group.proposed, [
    { kind: 'hand', operation: operation(session, 1), tuples: ids.slice(0, 1) },
  ]);
  group.commit();
  t.deepEqual(
    handed(group.take('result')[0]).map(({ id }) => id),
    ids.slice(0, 1),
  );
});

test('T4, E3: a write whose first in line is pinned and idle hands over in its own entry', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 1), job));
  group.receive(2, write(group, operation(session, 2), newTuple('job', 1)));
  t.is(group.pending.length, 1);
  group.commit();
  t.deepEqual(
    group
      .take('result')
      .map(({ call }) => call)
      .sort(),
    [1, 2],
  );
  t.is(group.space.counts().handed, 1);
});

test('T4, E3: where the first in line is unpinned the write is plain, and it is offered', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, register(operation(session, 1), job));
  group.receive(1, take(group, operation(session, 2), job));
  group.receive(2, write(group, undefined, newTuple('job', 1)));
  const [command] = group.proposed;
  t.deepEqual(command?.kind === 'write' ? command.handOvers : undefined, []);
  group.commit();
  t.is(group.take('offer').length, 1);
});

test('T4, E3: an older write in flight that matches comes first', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(2, write(group, undefined, newTuple('job', 1)));
  group.receive(1, take(group, operation(session, 1), job));
  group.receive(2, write(group, undefined, newTuple('job', 2)));
  group.settle();
  const tuples = group.take('result').flatMap((said) => handed(said));
  t.deepEqual(
    tuples.map(({ revision }) => revision),
    [3 as (typeof tuples)[0]['revision']],
  );
  t.is(group.space.counts().ready, 1);
});

test('E3: two writes in one turn go to two waiters, in order', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 1), job));
  group.receive(1, take(group, operation(session, 2), job));
  group.receive(2, write(group, undefined, newTuple('job', 1), newTuple('job', 2)));
  t.is(group.pending.length, 1);
  group.commit();
  t.is(group.space.counts().handed, 2);
});

test('E3: a hand-over that is void at apply leaves the tuple ready for the next in line', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const other = withSession(group, 2);
  group.receive(1, take(group, operation(session, 1), job));
  group.receive(1, take(group, operation(other, 2), job));
  // The end stands before the write in the log, and the leader does not look ahead.
  group.receiveLeader({ kind: 'deliver-end', session, home: group.partition });
  group.receive(2, write(group, undefined, newTuple('job', 1)));
  group.settle();
  t.deepEqual(
    group.take('stop').map(({ call }) => call),
    [1],
  );
  t.deepEqual(group.take('result').flatMap((said) => handed(said)).length, 1);
});

test('E3: a write that finds its result at apply hands nothing over, and the waiter goes on', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 2), job));
  group.receive(1, take(group, operation(session, 3), job));
  for (const attempt of [1, 2]) {
    group.receive(2, write(group, operation(session, 1, { attempt }), newTuple('job', 1)));
  }
  const handOvers = group.proposed.map((each) => each.kind === 'write' && each.handOvers.length);
  t.deepEqual(handOvers, [1, 1]);
  group.settle();
  t.deepEqual(
    group.take('result').map(({ call }) => call),
    [2, 1, 1],
  );
  put(group, newTuple('job', 2));
  t.deepEqual(
    group.take('result').map(({ call }) => call),
    [3],
  );
});

test('T5: the end of the wait says NOTHING when no match is ready, with the newest m', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 1), job));
  t.deepEqual(group.kinds(), []);
  group.receive(1, take(group, operation(session, 1), job, { m: 2, waitEnded: true }));
  t.deepEqual(
    group.take('nothing').map(({ m, cancelled }) => [m, cancelled]),
    [[2, false]],
  );
  t.is(group.leader?.stats().waiters, 0);
});

test('T5: the end of the wait waits until what hides a match is decided [3.28]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('job', 1));
  group.receive(1, register(operation(session, 1), job));
  const [offer] = group.take('offer');
  group.receive(2, take(group, operation(session, 2), job, { waitEnded: true }));
  t.deepEqual(group.kinds(), []);
  const op = operation(session, 1);
  group.receive(1, {
    kind: 'accept',
    call: 1,
    operation: op,
    epoch: group.epoch,
    offer: offer?.offer ?? 0,
  });
  group.commit();
  t.deepEqual(group.kinds().sort(), ['nothing', 'result']);
});

test('T5: a cancel removes a waiter, and is answered with the tuple where a hand-over is in flight [3.30]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 1), job));
  group.receive(1, take(group, operation(session, 1), job, { m: 2, cancelled: true }));
  t.deepEqual(
    group.take('nothing').map(({ cancelled }) => cancelled),
    [true],
  );

  put(group, newTuple('job', 1));
  group.receive(1, take(group, operation(session, 2), job));
  group.receive(1, take(group, operation(session, 2), job, { m: 2, cancelled: true }));
  group.commit();
  t.deepEqual(
    group.take('result').map(({ m }) => m),
    [2],
  );
});

test('L3: NOTHING leaves only when the leadership is confirmed, and nothing is handed over meanwhile [3.28]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.holdsConfirmations = true;
  group.receive(1, take(group, operation(session, 1), job, { waitEnded: true }));
  t.deepEqual(group.kinds(), []);
  group.receive(2, write(group, undefined, newTuple('job', 1)));
  group.commit();
  t.is(group.space.counts().ready, 1);
  for (const run of group.confirmations) run();
  t.true(group.kinds().includes('nothing'));
});

test('a take of many waits until `min` match, and does not keep others from what is there', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const many = query(job, { min: 3, max: 5 });
  group.receive(1, take(group, operation(session, 1), job, { query: many }));
  const [first] = put(group, newTuple('job', 1), newTuple('job', 2));
  group.receive(1, take(group, operation(session, 2), job));
  group.settle();
  t.deepEqual(
    handed(group.take('result')[0]).map(({ id }) => id),
    [first],
  );
  put(group, newTuple('job', 3));
  t.deepEqual(group.take('result'), []);
  put(group, newTuple('job', 4));
  t.is(handed(group.take('result').find(({ call }) => call === 1)).length, 3);
});

test('SESSION_BUSY: a session with too many results gets no further take, and keeps what it has [4.17]', (t) => {
  const group = newGroup(1, { sessionOperationsMax: 2 });
  const session = withSession(group);
  put(group, newTuple('job', 1), newTuple('job', 2), newTuple('job', 3));
  for (let q = 1; q <= 2; q += 1) group.receive(1, take(group, operation(session, q), job));
  group.settle();
  group.kinds();
  group.receive(1, { ...register(operation(session, 3), job) });
  t.deepEqual(
    group.take('refused').map(({ reason }) => reason),
    ['SESSION_BUSY'],
  );
  t.is(group.space.counts().handed, 2);
});

test('a tuple whose lease ends before the entry would be applied is neither handed nor passed for empty', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, { ...newTuple('job', 1), leaseMs: 50 });
  group.nowMs += 60;
  group.receive(1, take(group, operation(session, 1), job, { waitEnded: true }));
  t.is(group.pending.length, 0);
  t.deepEqual(group.kinds(), []);
  group.pass(10);
  t.deepEqual(
    group.proposed.map(({ kind }) => kind),
    ['expire'],
  );
  group.commit();
  t.deepEqual(group.kinds(), ['nothing']);
});

test('E9: tuples expire within 100 ms of their deadline, a thousand an entry [4.25, 4.27]', (t) => {
  const group = newGroup();
  for (let i = 0; i < 3; i += 1) {
    put(group, ...Array.from({ length: 500 }, (_, n) => ({ ...newTuple('job', n), leaseMs: 50 })));
  }
  group.pass(100);
  const [command] = group.proposed;
  t.is(command?.kind === 'expire' ? command.tuples.length : 0, 1_000);
  group.settle();
  t.is(group.space.counts().ready, 0);
});

test('a cancel by id takes the tuple from a waiting offer: its acceptance is a MISS', (t) => {
  const group = newGroup();
  const op = operation(withSession(group), 1);
  const [tuple = 0] = put(group, newTuple('job', 1));
  group.receive(1, register(op, job));
  const [offer] = group.take('offer');
  const change = { kind: 'cancel', space: testSpace, tuple: tuple as never } as const;
  group.receive(2, mutate(group, undefined, change));
  group.receive(1, {
    kind: 'accept',
    call: 1,
    operation: op,
    epoch: group.epoch,
    offer: offer?.offer ?? 0,
  });
  t.deepEqual(group.kinds(), ['miss']);
  group.commit();
  t.deepEqual(
    group.take('result').map(({ result }) => result),
    [{ kind: 'cancelled', found: true }],
  );
});
