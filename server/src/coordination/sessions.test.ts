import test from 'ava';
import type { PartitionId, Sequence, SessionId, Term } from '../base/ids.ts';
import { LeaseHeap } from './lease-heap.ts';
import {
  any,
  Group,
  handed,
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
  withSession,
  write,
} from './testing-bed.ts';

const job = template('job', any);

function pair(): { home: Group; other: Group; session: ReturnType<typeof openSession> } {
  const home = newGroup(1);
  const other = newGroup(2);
  return { home, other, session: openSession(home) };
}

test('L1: a leader that does not serve yet answers nothing but that', (t) => {
  const group = new Group(1);
  group.elect(0, false);
  const session = withSession(group);
  group.receive(1, register(operation(session, 1), job));
  group.receive(1, write(group, undefined, newTuple('job', 1)));
  t.deepEqual(group.kinds(), ['not-leader', 'not-leader']);
  t.is(group.pending.length, 0);
  group.leader?.serve(group.nowMs);
  group.receive(1, register(operation(session, 1), job));
  t.deepEqual(group.kinds(), ['empty']);
});

test('L2: what a leader finds in its log is applied without an answer', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, write(group, operation(session, 1), newTuple('job', 1)));
  group.elect(1);
  t.deepEqual(group.kinds(), []);
  group.receive(1, write(group, operation(session, 1), newTuple('job', 1)));
  t.deepEqual(group.kinds(), ['result']);
  t.is(group.space.counts().ready, 1);
});

test('S1: requests of an unknown session are parked until TOUCH is applied at home and KNOW here [4.6]', (t) => {
  const { home, other, session } = pair();
  other.receive(1, write(other, operation(session, 1), newTuple('job', 1)));
  t.is(other.pending.length, 0);
  t.deepEqual(
    other.between.map(({ to, message }) => [to, message.kind]),
    [[1, 'ask-open']],
  );
  const ask = other.between.splice(0)[0];
  if (ask !== undefined) home.receiveLeader(ask.message);
  t.deepEqual(home.between, [], 'OPEN is not said before TOUCH is applied');
  home.commit();
  t.true(home.space.home(session)?.touched.has(other.partition));
  t.deepEqual(
    home.between.map(({ message }) => message.kind),
    ['open'],
  );
  talk(home, other);
  t.deepEqual(other.kinds(), ['result']);
});

test('S1: the home is asked again while it does not answer', (t) => {
  const { other, session } = pair();
  other.receive(1, register(operation(session, 1), job));
  other.between.length = 0;
  other.pass(190);
  t.is(other.between.length, 0);
  other.pass(30);
  t.deepEqual(
    other.between.map(({ message }) => message.kind),
    ['ask-open'],
  );
});

test('S1: a session that its home does not know, or has ended, stops what is parked [4.6]', (t) => {
  const { home, other, session } = pair();
  home.receive(98, { kind: 'close-session', call: 2, session });
  home.settle();
  talk(home, other);
  other.receive(1, register(operation(session, 1), job));
  talk(home, other);
  t.deepEqual(
    other.take('stop').map(({ why }) => why),
    ['unknown-session'],
  );
});

test('S1: a session is known at its own home by the same way', (t) => {
  const group = newGroup();
  const session = openSession(group);
  group.receive(1, write(group, operation(session, 1), newTuple('job', 1)));
  talk(group);
  t.deepEqual(group.kinds(), ['result']);
  t.true(group.space.home(session)?.touched.has(group.partition));
});

test('nothing is kept of sessions that are not known here, whatever ids callers send', (t) => {
  const home = newGroup(1);
  const other = newGroup(2, { parkedRequestsMax: 40 });
  const senders = (): number | undefined => other.leader?.stats().senders;
  const receipt = (session: SessionId): void => {
    const floor = 7 as Sequence;
    other.receive(1, { kind: 'acknowledge', call: 1, session, floor, receipts: [] });
  };
  for (let counter = 1; counter <= 50; counter += 1) {
    const session = (home.partition * 2 ** 44 + counter) as SessionId;
    receipt(session);
    other.receive(1, write(other, operation(session, 1), newTuple('job', 1)));
    other.receive(1, take(other, operation(session, 2), job));
  }
  talk(home, other);
  const refused = other.take('refused');
  t.deepEqual([other.take('stop').length, refused.length], [40, 60]);
  t.true(
    refused.every(({ inDoubt }) => inDoubt === true),
    'a copy might find its session known',
  );
  t.is(senders(), 0);
  const ended = openSession(home);
  other.receive(1, write(other, operation(ended, 1), newTuple('job', 1)));
  talk(home, other);
  t.is(senders(), 1);
  home.receive(98, { kind: 'close-session', call: 2, session: ended });
  talk(home, other);
  t.is(senders(), 0);
  receipt(ended);
  other.receive(1, write(other, operation(ended, 2), newTuple('job', 2)));
  talk(home, other);
  t.is(senders(), 0, 'late messages of a session that has ended');
});

test('leases of sessions closed early leave nothing behind', (t) => {
  const leases = new LeaseHeap();
  for (let counter = 1; counter <= 10_000; counter += 1) {
    leases.set(counter as SessionId, 3_600_000 + counter);
    if (counter % 100 > 0) leases.delete(counter as SessionId);
    else leases.set(counter as SessionId, counter);
  }
  t.is(leases.count, 100);
  t.true(leases.size <= 2 * leases.count + 65, `${leases.size}`);
  const due = leases.takeDue(5_000);
  t.deepEqual(
    due.map(Number),
    Array.from({ length: 50 }, (_, at) => (at + 1) * 100),
  );
});

test('C8: a take that is over before its session is known here leaves no waiter behind', (t) => {
  const { home, other, session } = pair();
  const over = operation(session, 1);
  for (const op of [over, operation(session, 2)]) other.receive(1, register(op, job));
  other.receive(2, { kind: 'withdraw', call: 1, operation: over });
  t.is(other.leader?.stats().parked, 2, 'another router cannot withdraw it');
  other.receive(1, { kind: 'withdraw', call: 1, operation: over });
  t.is(other.leader?.stats().parked, 1);
  talk(home, other);
  t.deepEqual(other.kinds(), ['empty']);
  t.is(other.leader?.stats().waiters, 1);
});

test('S1: more parked requests than the bound are refused', (t) => {
  const group = newGroup(2, { parkedRequestsMax: 1 });
  const session = openSession(newGroup(1));
  group.receive(1, register(operation(session, 1), job));
  group.receive(1, register(operation(session, 2), job));
  t.deepEqual(
    group.take('refused').map(({ reason }) => reason),
    ['WAITERS_EXHAUSTED'],
  );
});

test('S1: parked requests hold no more bytes than the bound, but for the first', (t) => {
  const group = newGroup(2, { parkedBytesMax: 3_000 });
  const session = openSession(newGroup(1));
  const bulk = newTuple('job', 'x'.repeat(4_000));
  for (const sequence of [1, 2, 3])
    group.receive(1, write(group, operation(session, sequence), bulk));
  t.deepEqual(
    group.take('refused').map(({ reason }) => reason),
    ['WAITERS_EXHAUSTED', 'WAITERS_EXHAUSTED'],
  );
  t.is(group.leader?.stats().parked, 1);
});

test('S1: when the session is known, parked requests go on in order as the pipeline has room', (t) => {
  const { home, other, session } = pair();
  other.inFlightMax = 2;
  for (let sequence = 1; sequence <= 5; sequence += 1) {
    other.receive(1, write(other, operation(session, sequence), newTuple('job', sequence)));
  }
  const over = operation(session, 6);
  other.receive(1, register(over, template('other', any)));
  const ask = other.between.splice(0)[0];
  if (ask !== undefined) home.receiveLeader(ask.message);
  home.settle();
  for (const { message } of home.between.splice(0)) other.receiveLeader(message);
  const counts: number[] = [];
  while (other.pending.length > 0) {
    counts.push(other.pending.length);
    if (counts.length === 2) other.receive(1, { kind: 'withdraw', call: 1, operation: over });
    other.commit();
  }
  t.deepEqual(counts, [1, 2, 2, 1]);
  t.is(other.leader?.stats().parked, 0);
  t.deepEqual(
    [other.kinds(), other.leader?.stats().waiters],
    [['result', 'result', 'result', 'result', 'result'], 0],
    'the take was withdrawn while it waited for room',
  );
});

test('S3: an OPEN is taken only for a question of the own epoch, and only while asked', (t) => {
  const { other, session } = pair();
  other.receiveLeader({ kind: 'open', session, epoch: other.epoch });
  t.is(other.pending.length, 0);
  other.receive(1, register(operation(session, 1), job));
  other.receiveLeader({ kind: 'open', session, epoch: (other.epoch - 1) as Term });
  other.receiveLeader({ kind: 'not-open', session, epoch: (other.epoch - 1) as Term });
  t.is(other.pending.length, 0);
  t.deepEqual(other.kinds(), []);
});

test('S3: an OPEN that comes after the end is defeated by the mark [4.7]', (t) => {
  const { home, other, session } = pair();
  other.receive(1, register(operation(session, 1), job));
  const ask = other.between.splice(0)[0];
  if (ask !== undefined) home.receiveLeader(ask.message);
  home.commit();
  const [open] = home.between.splice(0);
  home.receive(98, { kind: 'close-session', call: 2, session });
  talk(home, other);
  t.is(other.space.session(session), 'ended');
  if (open !== undefined) other.receiveLeader(open.message);
  other.settle();
  t.is(other.space.session(session), 'ended');
  t.deepEqual(
    other.take('stop').map(({ why }) => why),
    ['ended'],
  );
});

test('S2: the home ends a session when its lease is over, and no earlier', (t) => {
  const { home, session } = pair();
  home.pass(9_000);
  home.receive(98, { kind: 'keep-session', call: 2, session });
  t.deepEqual(
    home.take('session-kept').map(({ leaseMs }) => leaseMs),
    [10_000],
  );
  home.pass(10_009);
  t.is(home.pending.length, 0, "its clock may be a thousandth faster than the client's");
  home.pass(1);
  t.deepEqual(
    home.proposed.map(({ kind }) => kind),
    ['end'],
  );
});

test('S2: a new leader of the home starts every session with its full lease [4.8]', (t) => {
  const { home, session } = pair();
  home.pass(9_000);
  home.elect();
  home.pass(10_009);
  t.is(home.pending.length, 0);
  home.pass(1);
  home.settle();
  t.is(home.space.home(session), undefined, 'ended, and forgotten since nobody was touched');
});

test('S2: keeping alive is confirmed, and refused to a session whose end is on its way', (t) => {
  const { home, session } = pair();
  home.holdsConfirmations = true;
  home.receive(98, { kind: 'keep-session', call: 2, session });
  t.deepEqual(home.kinds(), []);
  home.holdsConfirmations = false;
  home.pass(10_100);
  home.receive(98, { kind: 'keep-session', call: 3, session });
  t.deepEqual(
    home.take('stop').map(({ call }) => call),
    [3],
  );
});

test('S2: END is delivered again to each touched partition until it is applied there, then forgotten [4.7]', (t) => {
  const { home, other, session } = pair();
  put(other, newTuple('job', 1));
  other.receive(1, take(other, operation(session, 1), job));
  talk(home, other);
  t.is(other.space.counts().handed, 1);
  home.receive(98, { kind: 'close-session', call: 2, session });
  home.settle();
  t.deepEqual(home.kinds(), ['done']);
  t.deepEqual(
    home.between.splice(0).map(({ message }) => message.kind),
    ['deliver-end'],
  );
  home.pass(190);
  t.deepEqual(home.between.splice(0), []);
  home.pass(30);
  t.is(home.space.home(session)?.state, 'ended');
  talk(home, other);
  t.is(other.space.counts().ready, 1, 'E8: the tuple is given back');
  t.is(home.space.home(session), undefined);
});

test('S2: a new leader of the home goes on delivering ends', (t) => {
  const { home, other, session } = pair();
  other.receive(1, write(other, operation(session, 1), newTuple('job', 1)));
  talk(home, other);
  home.receive(98, { kind: 'close-session', call: 2, session });
  home.settle();
  home.between.length = 0;
  home.elect();
  talk(home, other);
  t.is(other.space.session(session), 'ended');
  t.is(home.space.home(session), undefined);
});

test('S2: an end that is applied already is confirmed again without an entry', (t) => {
  const { other, session } = pair();
  const message = { kind: 'deliver-end', session, home: 1 as PartitionId } as const;
  other.receiveLeader(message);
  other.receiveLeader(message);
  t.is(other.pending.length, 1, 'one entry while it is in flight');
  other.settle();
  other.receiveLeader(message);
  t.is(other.pending.length, 0);
  t.is(other.between.length, 2);
});

test('E8: the end of a session stops its waiters and frees what it was offered', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const other = withSession(group, 2);
  put(group, newTuple('job', 1));
  group.receive(1, register(operation(session, 1), job));
  group.receive(1, take(group, operation(session, 2), template('none')));
  group.receive(1, take(group, operation(other, 3), job));
  group.kinds();
  group.receiveLeader({ kind: 'deliver-end', session, home: 9 as PartitionId });
  group.settle();
  t.deepEqual(
    group.take('stop').map(({ call, why }) => [call, why]),
    [
      [1, 'ended'],
      [2, 'ended'],
    ],
  );
  t.is(handed(group.take('result')[0]).length, 1);
});

test('E8: what a session of any size held is given back in several entries, by the next leader too [4.20]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const other = withSession(group, 2);
  for (let n = 0; n < 3; n += 1) {
    put(group, ...Array.from({ length: 1_000 }, (_, i) => newTuple('job', n * 1_000 + i)));
    group.receive(
      1,
      take(group, operation(session, n + 1), job, { query: query(job, { max: 1_000 }) }),
    );
    group.settle();
  }
  t.deepEqual(group.space.counts(), { ready: 0, handed: 3_000 });
  group.receive(1, take(group, operation(other, 1), job));
  group.receiveLeader({ kind: 'deliver-end', session, home: 9 as PartitionId });
  group.kinds();
  group.between.length = 0;
  group.commit(1);
  t.is(group.space.session(session), 'ended');
  t.deepEqual(
    group.between.map(({ message }) => message.kind),
    ['end-applied'],
  );
  t.deepEqual(group.space.counts(), { ready: 1_000, handed: 2_000 });
  // Those who wait get what is there; the session gets nothing more.
  t.deepEqual(group.proposed.map(({ kind }) => kind).sort(), ['give-back', 'hand']);
  group.receive(1, take(group, operation(session, 9), job));
  t.deepEqual(group.kinds(), ['stop']);
  group.elect();
  t.is(group.space.returning, 2_000);
  group.pass(10);
  t.deepEqual(
    group.proposed.map(({ kind }) => kind),
    ['give-back'],
  );
  group.commit(1);
  t.deepEqual(group.space.counts(), { ready: 2_000, handed: 1_000 });
  group.settle();
  t.deepEqual(group.space.counts(), { ready: 3_000, handed: 0 });
  t.deepEqual(group.proposed, []);
});

test('E5: a receipt is always an entry, and RECEIVED comes when it is applied', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const [tuple] = put(group, newTuple('job', 1));
  group.receive(1, take(group, operation(session, 1), job));
  group.settle();
  group.kinds();
  if (tuple === undefined) return;
  const { sequence, floor } = operation(session, 1);
  const receipts = [{ sequence, tuple }];
  group.receive(1, { kind: 'acknowledge', call: 4, session, floor, receipts });
  t.deepEqual(group.kinds(), []);
  group.commit();
  t.deepEqual(group.kinds(), ['received']);
  t.is(group.space.counts().handed, 0);
});

test('beyond the marks of ended sessions that a partition keeps, no home is asked for another', (t) => {
  const home = newGroup(1);
  const other = newGroup(2, { endedSessionsMax: 2 });
  const send = (session: SessionId): void =>
    other.receive(1, write(other, operation(session, 1), newTuple('job', 1)));
  for (let count = 0; count < 2; count += 1) {
    const session = openSession(home);
    send(session);
    talk(home, other);
    home.receive(98, { kind: 'close-session', call: 2, session });
    talk(home, other);
  }
  t.deepEqual(other.space.sessionCounts, { known: 0, home: 0, ended: 2 });
  other.kinds();
  const third = openSession(home);
  send(third);
  t.deepEqual(
    other.take('refused').map(({ reason }) => reason),
    ['SESSIONS_EXHAUSTED'],
  );
  talk(home, other);
  t.is(home.space.home(third)?.touched.size, 0, 'so that it leaves no mark either');
  t.is(other.leader?.stats().senders, 0);
  // S3: the marks go after their 10 minutes, with the next entry.
  other.nowMs += 600_000;
  put(other, newTuple('job', 2));
  send(third);
  talk(home, other);
  t.deepEqual(other.take('result').length, 1);
});

test('more sessions than a home or a partition may serve are refused', (t) => {
  const home = newGroup(1, { homeSessionsMax: 1 });
  const session = openSession(home);
  home.receive(98, { kind: 'open-session', call: 2, leaseMs: 1_000, name: '' });
  t.deepEqual(
    home.take('refused').map(({ reason }) => reason),
    ['SESSIONS_EXHAUSTED'],
  );
  const other = newGroup(2, { knownSessionsMax: 1 });
  withSession(other);
  other.receive(1, register(operation(session, 1), job));
  talk(home, other);
  t.deepEqual(
    other.take('refused').map(({ reason }) => reason),
    ['SESSIONS_EXHAUSTED'],
  );
});
