import { decodeTuple, encodeTuple, encodeValue, Float, type Value } from '@tuplet/proto';
import test from 'ava';
import type { LogIndex, SpaceId, TupleId } from '../base/ids.ts';
import type { SessionOperation } from '../space/command.ts';
import { incremented } from './increment.ts';
import type { Change } from './messages.ts';
import {
  any,
  type Group,
  mutate,
  newGroup,
  newTuple,
  operation,
  put,
  register,
  type Said,
  storedInt,
  take,
  template,
  testSlot,
  testSpace,
  withSession,
  write,
} from './testing-bed.ts';

const lock = template('lock', any);
const counter = template('counter', any);

function ifAbsent(group: Group, op: SessionOperation, value: Value = op.sequence): void {
  const tuple = newTuple('lock', value);
  const change = { kind: 'write-if-absent', space: testSpace, tuple, absent: lock } as const;
  group.receive(1, mutate(group, op, change));
}

function increment(group: Group, op: SessionOperation, delta: Uint8Array = storedInt(1)): void {
  const change = {
    kind: 'increment',
    space: testSpace,
    template: counter,
    field: 1,
    delta,
  } as const;
  group.receive(1, mutate(group, op, change));
}

function newForm(said: Said<'result'> | undefined): readonly Value[] {
  return said?.result.kind === 'replaced' ? decodeTuple(said.result.new.bytes) : [];
}

test('a write that is sent again is answered with its first outcome', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, write(group, operation(session, 1), newTuple('job', 1)));
  group.receive(2, write(group, operation(session, 1, { attempt: 2 }), newTuple('job', 1)));
  group.settle();
  const results = group.take('result').map(({ result }) => result);
  t.deepEqual(results[0], results[1]);
  t.is(group.space.counts().ready, 1);
});

test('two writes if absent in one turn: the second waits for the first, and finds it present', (t) => {
  const group = newGroup();
  const session = withSession(group);
  ifAbsent(group, operation(session, 1));
  ifAbsent(group, operation(session, 2));
  t.is(group.pending.length, 1);
  t.deepEqual(group.kinds(), []);
  group.settle();
  t.deepEqual(group.kinds().sort(), ['result', 'unchanged']);
  t.is(group.space.counts().ready, 1);
});

test('sendings of one request id that meet in flight are all answered with the first outcome [4.16]', (t) => {
  const group = newGroup();
  let sent = 0;
  const again = (requestId: string, change: Change): void => {
    const identity = { kind: 'request', requestId, space: testSpace } as const;
    for (let count = 0; count < 3; count += 1) {
      sent += 1;
      const { epoch } = group;
      const call = 100 + sent;
      group.receive(1, { kind: 'mutate', call, operation: identity, epoch, m: 1, change });
    }
    group.settle();
    const results = group.take('result').map(({ result }) => result);
    t.is(results.length, 3, `${change.kind}: ${group.take('unchanged').length} unchanged`);
    t.deepEqual(results[1], results[0]);
    t.deepEqual(results[2], results[0]);
  };
  const tuple = newTuple('lock', 1);
  again('0a', { kind: 'write-if-absent', space: testSpace, tuple, absent: lock });
  const [row] = [group.space.oldest(testSpace)];
  const version = { tuple: group.space.idOf(row), revision: group.space.rows.revision(row) };
  const form = { space: testSpace, slot: testSlot, leaseMs: 'keep' } as const;
  again('0b', { kind: 'replace', target: version, bytes: newTuple('lock', 2).bytes, ...form });
  const two = template('lock', 2);
  again('0c', { kind: 'replace', target: two, bytes: newTuple('lock', 3).bytes, ...form });
  const three = template('lock', 3);
  const delta = storedInt(1);
  again('0d', { kind: 'increment', space: testSpace, template: three, field: 1, delta });
  t.deepEqual(decodeTuple(group.space.bytesOf(row)), ['lock', 4]);
});

test('a full disk refuses what adds data, definitely where no earlier sending can act [10.2]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const refusals = (): unknown[] =>
    group.take('refused').map(({ reason, inDoubt }) => [reason, inDoubt]);
  const send = (sequence: number, attempt = 1): void =>
    group.receive(1, write(group, operation(session, sequence, { attempt }), newTuple('job', 1)));
  send(1);
  group.admitsData = false;
  // The first attempt is in flight, and will act.
  send(1, 2);
  t.deepEqual(refusals(), [['DISK_FULL', true]]);
  group.settle();
  group.take('result');
  send(1, 3);
  t.deepEqual(group.kinds(), ['result'], 'what is done is told');
  // All that was ever sent of this one was refused; of the next one an attempt is missing.
  for (const attempt of [1, 2, 3]) send(2, attempt);
  send(3, 2);
  send(2, 5);
  t.deepEqual(refusals(), [
    ['DISK_FULL', false],
    ['DISK_FULL', false],
    ['DISK_FULL', false],
    ['DISK_FULL', true],
    ['DISK_FULL', true],
  ]);
  t.is(group.pending.length, 0, 'refusals cost no entry');
  // Older attempts, and copies, that come later do nothing.
  group.admitsData = true;
  for (const attempt of [1, 2, 3]) send(2, attempt);
  group.settle();
  t.is(group.space.counts().ready, 1);
  // What frees room, and what only names it, goes on.
  group.admitsData = false;
  group.kinds();
  const tuple = group.space.idOf(group.space.oldest(testSpace));
  group.receive(
    1,
    mutate(group, operation(session, 9), { kind: 'cancel', space: testSpace, tuple }),
  );
  group.settle();
  t.deepEqual(group.kinds(), ['result']);
});

test('a full disk refuses a request id in doubt while another sending of it may act [10.2]', (t) => {
  const group = newGroup();
  const change = { kind: 'write', space: testSpace, tuples: [newTuple('job', 1)] } as const;
  const send = (requestId: string, space = testSpace): void => {
    const identity = { kind: 'request', requestId, space } as const;
    const call = 1;
    group.receive(1, {
      kind: 'mutate',
      call,
      operation: identity,
      epoch: group.epoch,
      m: 1,
      change,
    });
  };
  const refusals = (): unknown[] => group.take('refused').map(({ inDoubt }) => inDoubt);
  send('0a');
  group.admitsData = false;
  send('0a');
  send('0b');
  send('0a', 2 as SpaceId);
  t.deepEqual(refusals(), [true, false, false]);
  group.settle();
  send('0a');
  t.deepEqual(group.kinds(), ['result', 'result']);
});

test('two writes if absent that do not concern each other are both decided at once', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, write(group, undefined, newTuple('other', 1)));
  ifAbsent(group, operation(session, 1));
  t.is(group.pending.length, 2);
  group.settle();
  t.is(group.take('result').length, 2);
});

test('a write if absent sees a plain write in flight that matches', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, write(group, undefined, newTuple('lock', 0)));
  ifAbsent(group, operation(session, 1));
  t.is(group.pending.length, 1);
  group.settle();
  t.true(group.kinds().includes('unchanged'));
});

test('a write if absent whose slot changed otherwise than foreseen is decided again', (t) => {
  const group = newGroup();
  const session = withSession(group);
  // A repeated write changes nothing, so what rests on its change is void once.
  group.receive(1, write(group, operation(session, 2), newTuple('y')));
  group.receive(1, write(group, operation(session, 2, { attempt: 2 }), newTuple('y')));
  ifAbsent(group, operation(session, 3));
  group.settle();
  t.is(group.take('result').length, 3);
});

test('§3: a match that is handed over counts as present [3.17]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('lock', 1));
  group.receive(1, take(group, operation(session, 1), lock));
  group.settle();
  group.kinds();
  ifAbsent(group, operation(session, 2));
  t.deepEqual(group.kinds(), ['unchanged']);
});

test('§3: a new leader counts what was handed over before it as present', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('lock', 1));
  group.receive(1, take(group, operation(session, 1), lock));
  group.settle();
  group.elect();
  group.kinds();
  ifAbsent(group, operation(session, 2));
  t.deepEqual(group.kinds(), ['unchanged']);
});

test('a tuple whose lease is over when the entry is stamped makes no presence', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, { ...newTuple('lock', 1), leaseMs: 50 });
  group.nowMs += 60;
  ifAbsent(group, operation(session, 1));
  group.settle();
  t.is(group.take('result').length, 1);
});

test('two increments in one turn chain: the second rests on the first', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('counter', 5));
  increment(group, operation(session, 1));
  increment(group, operation(session, 2));
  const [first, second] = group.pending;
  const { command } = second?.entry ?? {};
  t.is(command?.kind === 'replace' ? command.revision : undefined, first?.index);
  group.settle();
  t.deepEqual(group.take('result').map(newForm), [
    ['counter', 6],
    ['counter', 7],
  ]);
});

test('a chain whose first link is void unwinds, and every link is decided again', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const [tuple] = put(group, newTuple('counter', 5));
  if (tuple === undefined) return;
  // The same sequence twice: at apply the second replace is void, and what rests on it.
  increment(group, operation(session, 1));
  group.receive(2, {
    ...mutate(group, operation(session, 1, { attempt: 1 }), {
      kind: 'increment',
      space: testSpace,
      template: counter,
      field: 1,
      delta: storedInt(1),
    }),
    m: 2,
  });
  increment(group, operation(session, 2));
  increment(group, operation(session, 3));
  t.is(group.pending.length, 4);
  group.settle();
  const row = group.space.rowOf(tuple);
  t.deepEqual(decodeTuple(group.space.bytesOf(row)), ['counter', 8]);
});

test('what a cancel in flight removes is not built on', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const [tuple] = put(group, newTuple('counter', 5));
  increment(group, operation(session, 1));
  group.receive(
    1,
    mutate(group, undefined, { kind: 'cancel', space: testSpace, tuple: tuple as TupleId }),
  );
  increment(group, operation(session, 2));
  t.is(group.pending.length, 2);
  group.settle();
  t.deepEqual(group.kinds().sort(), ['result', 'result', 'unchanged']);
});

test('§3: "unchanged" waits until what hides a match is decided [3.28]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('counter', 5));
  const op = operation(session, 1);
  group.receive(1, register(op, counter));
  const [offer] = group.take('offer');
  increment(group, operation(session, 2));
  t.is(group.pending.length, 0);
  t.deepEqual(group.kinds(), []);
  group.receive(1, {
    kind: 'accept',
    call: 1,
    operation: op,
    epoch: group.epoch,
    offer: offer?.offer ?? 0,
  });
  group.settle();
  t.deepEqual(group.kinds().sort(), ['result', 'unchanged']);
});

test('T3: an attempt above 1 of a change that may be answered without an entry is fenced first', (t) => {
  const group = newGroup();
  const session = withSession(group);
  increment(group, operation(session, 1, { attempt: 2 }));
  t.deepEqual(
    group.proposed.map(({ kind }) => kind),
    ['fence'],
  );
  group.commit();
  t.deepEqual(group.kinds(), ['unchanged']);
  put(group, newTuple('counter', 5));
  // The late first attempt never acts.
  increment(group, operation(session, 1));
  group.settle();
  t.deepEqual(
    group.take('stop').map(({ why }) => why),
    ['fenced'],
  );
});

test('T2: a copy of a change that comes after its answer does nothing', (t) => {
  const group = newGroup();
  const session = withSession(group);
  increment(group, operation(session, 1));
  t.deepEqual(group.kinds(), ['unchanged']);
  put(group, newTuple('counter', 5));
  increment(group, operation(session, 1));
  t.is(group.pending.length, 0);
});

test('replace by version keeps id and place; a revision that no longer holds is refused', (t) => {
  const group = newGroup();
  const [tuple] = put(group, newTuple('counter', 5));
  if (tuple === undefined) return;
  const revision = group.space.rows.revision(group.space.rowOf(tuple));
  const change = {
    kind: 'replace',
    space: testSpace,
    target: { tuple, revision },
    slot: testSlot,
    bytes: newTuple('counter', 6).bytes,
    leaseMs: 'keep',
  } as const;
  group.receive(1, mutate(group, undefined, change));
  group.receive(1, { ...mutate(group, undefined, change), call: 7 });
  group.settle();
  t.deepEqual(group.kinds().sort(), ['refused', 'result']);
  const stale = { ...change, target: { tuple, revision: 1 as LogIndex } };
  group.receive(1, mutate(group, undefined, stale));
  t.deepEqual(
    group.take('refused').map(({ reason }) => reason),
    ['REVISION_CHANGED'],
  );
});

test('replace refuses another slot', (t) => {
  const group = newGroup();
  put(group, newTuple('counter', 5));
  const { bytes } = newTuple('counter', 6);
  const slot = (testSlot + 1) as typeof testSlot;
  const change = {
    kind: 'replace',
    space: testSpace,
    target: counter,
    slot,
    bytes,
    leaseMs: 'keep',
  } as const;
  group.receive(1, mutate(group, undefined, change));
  t.deepEqual(
    group.take('refused').map(({ reason }) => reason),
    ['ROUTE_CHANGES'],
  );
});

test('a replaced tuple wakes who waits for its new form', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('counter', 5));
  group.receive(1, take(group, operation(session, 1), template('counter', 6)));
  increment(group, operation(session, 2));
  group.settle();
  t.is(group.take('result').length, 2);
  t.is(group.space.counts().handed, 1);
});

test('§3: increment adds as its kinds do, and refuses what they do not', (t) => {
  const sum = (value: Value, delta: Value): unknown => {
    const result = incremented(encodeTuple(['c', value]), 1, encodeValue(delta));
    return result.kind === 'new' ? decodeTuple(result.bytes)[1] : result.reason;
  };
  t.is(sum(5, -7), -2);
  t.is(sum(2 ** 53 - 1, 2), 2n ** 53n + 1n);
  t.is(sum(2n ** 63n - 1n, 1), 'INCREMENT_OVERFLOW');
  t.is(sum(-(2n ** 63n), -1), 'INCREMENT_OVERFLOW');
  t.is(sum(2.5, 1), 3.5);
  t.deepEqual(sum(1.5, 0.5), new Float(2));
  t.deepEqual(sum(new Float(1), 1), new Float(2));
  t.is(sum(1, 0.5), 'FIELD_NOT_NUMERIC');
  t.is(sum(1, new Float(1)), 'FIELD_NOT_NUMERIC');
  t.is(sum('a', 1), 'FIELD_NOT_NUMERIC');
  t.is(sum(null, 1), 'FIELD_NOT_NUMERIC');
  t.is(incremented(encodeTuple(['c']), 1, encodeValue(1)).kind, 'refused');
});

test('an increment is refused without an entry, unless it rests on one in flight', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('counter', 2n ** 63n - 2n));
  increment(group, operation(session, 1));
  increment(group, operation(session, 2));
  t.deepEqual(group.kinds(), []);
  group.settle();
  t.deepEqual(
    group.take('refused').map(({ reason }) => reason),
    ['INCREMENT_OVERFLOW'],
  );
  t.is(group.take('result').length, 1);
});

test('cancel and renew are entries, found or not', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const missing = (group.partition * 2 ** 44 + 999) as TupleId;
  const cancel = { kind: 'cancel', space: testSpace, tuple: missing } as const;
  group.receive(1, mutate(group, operation(session, 1), cancel));
  group.receive(1, mutate(group, operation(session, 2), { ...cancel, kind: 'renew', leaseMs: 10 }));
  t.is(group.pending.length, 2);
  group.settle();
  t.deepEqual(
    group.take('result').map(({ result }) => 'found' in result && result.found),
    [false, false],
  );
});

test('a tuple of another space is neither cancelled nor renewed', (t) => {
  const group = newGroup();
  const [tuple] = put(group, newTuple('job', 1));
  const change = { kind: 'cancel', space: 2 as typeof testSpace, tuple: tuple as TupleId } as const;
  group.receive(1, mutate(group, undefined, change));
  t.deepEqual(
    group.take('result').map(({ result }) => result),
    [{ kind: 'cancelled', found: false }],
  );
  t.is(group.space.counts().ready, 1);
});

test('L3: "unchanged" leaves only when the leadership is confirmed', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.holdsConfirmations = true;
  increment(group, operation(session, 1));
  put(group, newTuple('lock', 1));
  ifAbsent(group, operation(session, 2));
  t.deepEqual(group.kinds(), []);
  t.is(group.confirmations.length, 2);
});

test('calls that wait for a tuple go on as the pipeline has room when it is free', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.inFlightMax = 2;
  put(group, newTuple('counter', 5));
  group.receive(1, register(operation(session, 1), counter));
  for (let sequence = 2; sequence <= 6; sequence += 1)
    increment(group, operation(session, sequence));
  t.is(group.leader?.stats().blocked, 5);
  group.receive(1, { kind: 'withdraw', call: 1, operation: operation(session, 1) });
  const counts: number[] = [];
  group.leader?.flush(group.nowMs);
  while (group.pending.length > 0) {
    counts.push(group.pending.length);
    group.commit();
  }
  t.deepEqual(counts, [2, 2, 1]);
  t.deepEqual(newForm(group.take('result').at(-1)), ['counter', 10]);
});

test('a tuple whose hand-over is in flight is present to a write-if-absent, though its lease ends meanwhile', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, write(group, undefined, { ...newTuple('lock', 1), leaseMs: 1_000 }));
  group.settle();
  group.receive(1, take(group, operation(session, 1), lock));
  t.is(group.pending.length, 1);
  // No disk and no majority answers until the lease is over.
  group.nowMs += 2_000;
  ifAbsent(group, operation(session, 2));
  t.is(group.pending.length, 1, 'nothing is written beside it');
  group.settle();
  t.is(group.space.counts().handed, 1);
  t.is(group.space.counts().ready, 0);
});

test('more calls that wait for locked tuples than the bound are refused', (t) => {
  const group = newGroup(1, { blockedMutationsMax: 1 });
  const session = withSession(group);
  put(group, newTuple('counter', 5));
  group.receive(1, register(operation(session, 1), counter));
  increment(group, operation(session, 2));
  increment(group, operation(session, 3));
  t.deepEqual(
    group.take('refused').map(({ reason }) => reason),
    ['WAITERS_EXHAUSTED'],
  );
  t.is(group.leader?.stats().blocked, 1);
});
