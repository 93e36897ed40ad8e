import test from 'ava';
import {
  any,
  newGroup,
  newTuple,
  operation,
  put,
  query,
  read,
  register,
  take,
  template,
  testSpace,
  withSession,
  write,
} from './testing-bed.ts';

const job = template('job', any);

test('a read gives the oldest match and leaves it, also one that an offer has reserved [3.32]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const [id] = put(group, newTuple('job', 1), newTuple('job', 2));
  group.receive(1, register(operation(session, 1), job));
  group.receive(2, read(1, job));
  t.deepEqual(
    group.take('found').flatMap(({ tuples }) => tuples.map((each) => each.id)),
    [id],
  );
  t.is(group.space.counts().ready, 2);
});

test('one written tuple wakes all matching reads and one take [3.27]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  for (let call = 1; call <= 3; call += 1) group.receive(2, read(call, job));
  group.receive(2, read(4, template('other', any)));
  for (let q = 1; q <= 2; q += 1) group.receive(1, take(group, operation(session, q), job));
  group.receive(3, write(group, undefined, newTuple('job', 1)));
  group.settle();
  t.deepEqual(
    group
      .take('found')
      .map(({ call }) => call)
      .sort(),
    [1, 2, 3],
  );
  t.is(group.space.counts().handed, 1);
  t.is(group.leader?.stats().waiters, 2);
});

test('the end of a wait says nothing, a cancel says cancelled, with the newest m', (t) => {
  const group = newGroup();
  group.receive(2, read(1, job));
  group.receive(2, read(1, job, { m: 2, waitEnded: true }));
  group.receive(2, read(2, job));
  group.receive(2, read(2, job, { m: 2, cancelled: true }));
  t.deepEqual(
    group.take('nothing').map(({ call, m, cancelled }) => [call, m, cancelled]),
    [
      [1, 2, false],
      [2, 2, true],
    ],
  );
  t.is(group.leader?.stats().waiters, 0);
});

test('a read of many waits until `min` match, and answers up to `max` of one point in time', (t) => {
  const group = newGroup();
  group.receive(2, read(1, job, { query: query(job, { min: 3, max: 4 }) }));
  put(group, newTuple('job', 1), newTuple('job', 2));
  t.deepEqual(group.take('found'), []);
  put(group, newTuple('job', 3), newTuple('job', 4), newTuple('job', 5));
  t.deepEqual(
    group.take('found').map(({ tuples }) => tuples.length),
    [4],
  );
});

test('L3: what a read finds or not is said when the leadership is confirmed', (t) => {
  const group = newGroup();
  put(group, newTuple('job', 1));
  group.holdsConfirmations = true;
  group.receive(2, read(1, job));
  group.receive(2, { kind: 'count', call: 2, space: testSpace, template: job, states: ['ready'] });
  t.deepEqual(group.kinds(), []);
  for (const run of group.confirmations) run();
  t.deepEqual(group.kinds(), ['found', 'counted']);
});

test('reads and counts look at the states that they name', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('job', 1), newTuple('job', 2));
  group.receive(1, take(group, operation(session, 1), job));
  group.settle();
  group.kinds();
  for (const states of [['ready'], ['handed'], ['ready', 'handed']] as const) {
    group.receive(2, read(states.length, job, { states, query: query(job, { max: 10 }) }));
    group.receive(2, { kind: 'count', call: 9, space: testSpace, template: undefined, states });
  }
  const found = group.take('found').map(({ tuples }) => tuples.map(({ state }) => state));
  t.deepEqual(found, [['ready'], ['handed'], ['handed', 'ready']]);
  t.deepEqual(
    group.take('counted').map(({ count }) => count),
    [1, 1, 2],
  );
});

test('a tuple whose lease is over is neither read nor counted [4.25]', (t) => {
  const group = newGroup();
  put(group, { ...newTuple('job', 1), leaseMs: 50 });
  group.nowMs += 60;
  // Another entry moves the partition's clock; the tuple is not removed yet.
  put(group, newTuple('other', 1));
  group.receive(2, read(1, job, { waitEnded: true }));
  group.receive(2, { kind: 'count', call: 2, space: testSpace, template: job, states: ['ready'] });
  t.deepEqual(group.kinds(), ['nothing', 'counted']);
});

test('a count without a template walks only while a lease is over [4.25]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('job', 1), newTuple('job', 2), { ...newTuple('job', 3), leaseMs: 50 });
  group.receive(1, take(group, operation(session, 1), job));
  group.settle();
  let walks = 0;
  const oldest = group.space.oldestReady.bind(group.space);
  group.space.oldestReady = (space) => {
    walks += 1;
    return oldest(space);
  };
  const counts = (): unknown[] => {
    group.kinds();
    for (const states of [['ready'], ['handed'], ['ready', 'handed']] as const)
      group.receive(2, { kind: 'count', call: 9, space: testSpace, template: undefined, states });
    return group.take('counted').map(({ count }) => count);
  };
  t.deepEqual([counts(), walks], [[2, 1, 3], 0]);
  group.nowMs += 60;
  put(group, newTuple('other', 1));
  t.deepEqual(counts(), [2, 1, 3], 'the one whose lease is over is still there, and not counted');
  t.is(group.space.counts().ready, 3);
  t.is(walks, 2);
  group.pass(10);
  group.settle();
  t.deepEqual([counts(), walks], [[2, 1, 3], 2]);
});

test('the reads of a router that is gone go', (t) => {
  const group = newGroup();
  group.receive(2, read(1, job));
  group.leader?.coordinatorGone(2);
  t.is(group.leader?.stats().waiters, 0);
});

test('dropping a space takes all its tuples, in as many entries as it needs, and is answered once', (t) => {
  const group = newGroup();
  for (let i = 0; i < 3; i += 1)
    put(group, ...Array.from({ length: 700 }, (_, n) => newTuple('job', n)));
  group.receive(2, { kind: 'drop-space', call: 1, space: testSpace });
  group.settle();
  t.deepEqual(group.kinds(), ['done']);
  t.is(group.space.counts(testSpace).ready, 0);
});
