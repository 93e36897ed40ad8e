import test from 'ava';
import type { LogIndex, PartitionId, SessionId, Slot, SpaceId, TupleId } from '../base/ids.ts';
import { away, Driver, home, op, other, taken, tuple } from './testing-driver.ts';

test('§2: admit refuses in its order: unknown or ended, closed, fenced', (t) => {
  const d = new Driver();
  t.is(d.space.admit(op(away, 5)), 'unknown-session');
  d.know(away);
  d.fence(op(away, 5, 3));
  t.is(d.space.admit(op(away, 5, 2)), 'fenced');
  t.is(d.space.admit(op(away, 5, 3)), 'ok');
  d.fence(op(away, 9, 1, 6));
  t.is(d.space.admit(op(away, 5, 2)), 'closed');
  t.is(d.space.admit(op(away, 8, 1, 9)), 'closed');
  d.end(away);
  t.is(d.space.admit(op(away, 5, 2)), 'ended');
});

test('E2: a tuple is handed over once, and its operation gets it again until the receipt', (t) => {
  const d = new Driver();
  d.know(away);
  d.know(other);
  const id = d.write('a');
  t.deepEqual(taken(d.hand(op(away, 1), id)), ['a']);
  t.is(taken(d.hand(op(other, 1), id)), 'miss');
  t.deepEqual(taken(d.hand(op(away, 1, 2), id)), ['a']);
  t.deepEqual(d.space.counts(), { ready: 0, handed: 1 });
  t.deepEqual(d.receipt(away, 1, id), { kind: 'received' });
  t.is(d.space.result(op(away, 1)), undefined);
  t.is(d.space.rowOf(id), -1 as never);
});

test('E2: all tuples of a hand-over or none', (t) => {
  const d = new Driver();
  d.know(away);
  const a = d.write('a');
  const b = d.write('b', { leaseMs: 10 });
  d.do({ kind: 'lead' }, 10);
  t.is(taken(d.hand(op(away, 1), a, b)), 'miss');
  t.deepEqual(d.ready(), ['a', 'b']);
  t.is(d.space.result(op(away, 1)), undefined);
});

test('E2: an operation that is fenced, closed or of an ended session gets nothing', (t) => {
  const d = new Driver();
  d.know(away);
  const id = d.write('a');
  d.fence(op(away, 2, 2));
  t.is(taken(d.hand(op(away, 2, 1), id)), 'fenced');
  d.fence(op(away, 4, 1, 4));
  t.is(taken(d.hand(op(away, 3), id)), 'closed');
  t.is(taken(d.hand(op(other, 3), id)), 'unknown-session');
  d.end(away);
  t.is(taken(d.hand(op(away, 4), id)), 'ended');
  t.deepEqual(d.ready(), ['a']);
});

test('E3: a write is carried out once; sent again it answers its first outcome', (t) => {
  const d = new Driver();
  d.know(away);
  const write = {
    kind: 'write',
    space: home,
    tuples: [tuple('a'), tuple('b', 50)],
    absence: undefined,
    handOvers: [],
  } as const;
  const first = d.do({ ...write, operation: op(away, 1) });
  const again = d.do({ ...write, operation: op(away, 1, 2) }, 1_000);
  t.deepEqual(again, first);
  t.deepEqual(d.ready(), ['a', 'b']);
  const request = { kind: 'request', requestId: '0aff', space: home } as const;
  const named = d.do({ ...write, operation: request });
  t.deepEqual(d.do({ ...write, operation: request }, 1_000), named);
  t.is(d.ready().length, 4);
});

test('E3: the write happens, and each hand-over under its own admit', (t) => {
  const d = new Driver();
  d.know(away);
  d.know(other);
  d.fence(op(other, 7, 2));
  const outcome = d.do({
    kind: 'write',
    operation: op(away, 1),
    space: home,
    tuples: [tuple('a'), tuple('b'), tuple('c')],
    absence: undefined,
    handOvers: [
      { tuple: 2, to: op(away, 2) },
      { tuple: 0, to: op(other, 7, 1) },
      { tuple: 1, to: op(away, 2, 2) },
    ],
  });
  t.is(outcome.kind, 'result');
  if (outcome.kind !== 'result') return;
  const came = outcome.handOvers.map((h) =>
    h.kind === 'stop' ? h.why : taken({ ...h, handOvers: [] }),
  );
  t.deepEqual(came, [['c'], 'fenced', ['c']]);
  t.deepEqual(d.ready(), ['a', 'b']);
});

test('E3: a write that is not admitted hands nothing over', (t) => {
  const d = new Driver();
  d.know(other);
  const outcome = d.do({
    kind: 'write',
    operation: op(away, 1),
    space: home,
    tuples: [tuple('a')],
    absence: undefined,
    handOvers: [{ tuple: 0, to: op(other, 1) }],
  });
  t.deepEqual(outcome, { kind: 'stop', why: 'unknown-session' });
  t.is(d.space.result(op(other, 1)), undefined);
  t.deepEqual(d.space.counts(), { ready: 0, handed: 0 });
});

test('E3: a write-if-absent is void once its slot has changed', (t) => {
  const d = new Driver();
  const slot = 7 as Slot;
  const write = (text: string, lastChange: LogIndex) =>
    d.do({
      kind: 'write',
      operation: undefined,
      space: home,
      tuples: [tuple(text, undefined, slot)],
      absence: { slot, lastChange },
      handOvers: [],
    });
  t.is(d.space.slotLastChange(home, slot), 0 as LogIndex);
  t.is(write('a', 0 as LogIndex).kind, 'result');
  t.is(write('b', 0 as LogIndex).kind, 'miss');
  const seen = d.space.slotLastChange(home, slot);
  t.is(write('c', seen).kind, 'result');
  t.deepEqual(d.ready(), ['a', 'c']);
});

test('E4: a fence refuses all lower attempts for ever, and hides no earlier result [4.13]', (t) => {
  const d = new Driver();
  d.know(away);
  const id = d.write('a');
  t.deepEqual(d.fence(op(away, 1, 2)), { kind: 'fenced' });
  t.deepEqual(d.fence(op(away, 1, 2)), { kind: 'fenced' });
  t.deepEqual(d.fence(op(away, 1, 1)), { kind: 'stop', why: 'fenced' });
  t.is(taken(d.hand(op(away, 1, 1), id)), 'fenced');
  t.deepEqual(taken(d.hand(op(away, 1, 2), id)), ['a']);
  t.deepEqual(taken(d.fence(op(away, 1, 3))), ['a']);
  t.is(d.space.fenceOf(away, op(away, 1).sequence), 3 as never);
});

test('E5: a receipt drops the result and leaves the fence', (t) => {
  const d = new Driver();
  d.know(away);
  const id = d.write('a');
  d.fence(op(away, 1, 2));
  d.hand(op(away, 1, 2), id);
  d.receipt(away, 1, id);
  t.is(d.space.fenceOf(away, op(away, 1).sequence), 2 as never);
  t.is(taken(d.hand(op(away, 1, 1), d.write('b'))), 'fenced');
});

test('E5: a receipt of another operation, tuple or session changes nothing', (t) => {
  const d = new Driver();
  d.know(away);
  d.know(other);
  const a = d.write('a');
  const b = d.write('b');
  d.hand(op(away, 1), a);
  for (const [session, sequence, id] of [
    [away, 2, a],
    [away, 1, b],
    [other, 1, a],
  ] as const) {
    t.deepEqual(d.receipt(session, sequence, id), { kind: 'received' });
  }
  t.deepEqual(taken(d.hand(op(away, 1), a)), ['a']);
});

test('E5: of several tuples each goes by its own receipt', (t) => {
  const d = new Driver();
  d.know(away);
  const ids = ['a', 'b', 'c'].map((text) => d.write(text));
  d.hand(op(away, 1), ...ids);
  d.receipt(away, 1, ids[1] as TupleId);
  t.deepEqual(taken(d.hand(op(away, 1), ids[0] as TupleId)), ['a', 'c']);
  d.end(away);
  t.deepEqual(d.ready(), ['a', 'c']);
});

test('E5: a receipt counts although its own message raises the floor past it', (t) => {
  const d = new Driver();
  d.know(away);
  const id = d.write('a');
  d.hand(op(away, 1), id);
  d.receipt(away, 1, id, 2);
  t.deepEqual(d.space.counts(), { ready: 0, handed: 0 });
  t.deepEqual(d.events(), ['written a', 'taken a']);
});

test('§2: every entry of a session raises its floor; unacknowledged tuples below come back [4.21]', (t) => {
  const d = new Driver();
  d.know(away);
  d.know(other);
  const [a, b, c] = [d.write('a'), d.write('b'), d.write('c')];
  d.hand(op(away, 2), b);
  d.hand(op(away, 1), a);
  d.fence(op(away, 3, 2));
  d.receipt(away, 9, c, 3);
  t.deepEqual(d.ready(), ['a', 'b', 'c']);
  t.deepEqual(d.events().slice(-2), ['returned a', 'returned b']);
  t.is(d.space.stored(d.space.rowOf(a)).deliveries, 1);
  t.is(d.space.fenceOf(away, op(away, 3).sequence), 2 as never);
  t.is(d.space.admit(op(away, 2)), 'closed');
  // A hand-over inside another session's write raises its receiver's floor too.
  d.do({
    kind: 'write',
    operation: op(other, 1),
    space: home,
    tuples: [tuple('d')],
    absence: undefined,
    handOvers: [{ tuple: 0, to: op(away, 5, 1, 4) }],
  });
  t.is(d.space.admit(op(away, 3, 2)), 'closed');
  t.is(d.space.fenceOf(away, op(away, 3).sequence), 0);
});

test('E6: a partition joins those touched only while the session is open at home [4.6]', (t) => {
  const d = new Driver();
  const opened = d.do({ kind: 'open-session', leaseMs: 5_000, name: 'worker' });
  const session = (2 ** 44 + 1) as SessionId;
  t.deepEqual(opened, { kind: 'session-opened', session, leaseMs: 5_000 });
  const touch = (partition: number) =>
    d.do({ kind: 'touch', session, partition: partition as PartitionId });
  t.deepEqual(touch(4), { kind: 'session', open: true });
  t.deepEqual(touch(4), { kind: 'session', open: true });
  d.do({ kind: 'forget-session', session });
  t.is(d.space.home(session)?.state, 'open');
  d.end(session);
  t.deepEqual(touch(5), { kind: 'session', open: false });
  t.deepEqual([...(d.space.home(session)?.touched ?? [])], [4]);
  d.do({ kind: 'forget-session', session });
  t.is(d.space.home(session), undefined);
  t.deepEqual(touch(6), { kind: 'session', open: false });
  const next = d.do({ kind: 'open-session', leaseMs: 5_000, name: '' });
  t.deepEqual(next, { kind: 'session-opened', session: session + 1, leaseMs: 5_000 } as never);
});

test('E7, S3: a session that has ended is not known again while its mark stands [4.7]', (t) => {
  const d = new Driver({ endedMarkMs: 600_000 });
  d.end(away);
  t.deepEqual(d.do({ kind: 'know', session: away }), { kind: 'session', open: false });
  t.is(d.space.session(away), 'ended');
  d.do({ kind: 'lead' }, 599_999);
  t.is(d.space.session(away), 'ended');
  d.do({ kind: 'lead' }, 1);
  t.is(d.space.session(away), 'unknown');
});

test('S3: a session leaves a mark at its home only if it touched that partition [4.7]', (t) => {
  const d = new Driver();
  const open = (): SessionId => {
    const opened = d.do({ kind: 'open-session', leaseMs: 5_000, name: '' });
    return opened.kind === 'session-opened' ? opened.session : away;
  };
  const [near, far, lone] = [open(), open(), open()];
  d.do({ kind: 'touch', session: near, partition: 1 as PartitionId });
  d.do({ kind: 'touch', session: far, partition: 2 as PartitionId });
  for (const session of [near, far, lone]) {
    d.end(session);
    t.is(d.space.home(session)?.state, 'ended');
  }
  t.is(d.space.session(near), 'ended', 'an OPEN may be on its way here');
  t.deepEqual(
    [far, lone].map((session) => d.space.session(session)),
    ['unknown', 'unknown'],
  );
  t.deepEqual(d.space.sessionCounts, { known: 0, home: 3, ended: 1 });
  d.do({ kind: 'forget-session', session: near });
  t.is(taken(d.hand(op(near, 1), d.write('a'))), 'ended');
  t.is(taken(d.hand(op(lone, 1), d.write('b'))), 'unknown-session');
});

test('E8: the end gives everything back in its old place and forgets the session [3.25, 4.20]', (t) => {
  const d = new Driver();
  d.know(away);
  d.know(other);
  const ids = ['a', 'b', 'c', 'd', 'e'].map((text) => d.write(text)) as TupleId[];
  const [a, b, c, , e] = ids as [TupleId, TupleId, TupleId, TupleId, TupleId];
  d.hand(op(away, 4), a, c);
  d.hand(op(other, 1), b);
  d.hand(op(away, 2), e);
  d.fence(op(away, 5, 3));
  t.deepEqual(d.ready(), ['d']);
  t.deepEqual(d.end(away), { kind: 'done' });
  t.deepEqual(d.ready(), ['a', 'c', 'd', 'e']);
  t.deepEqual(d.events().slice(-3), ['returned e', 'returned a', 'returned c']);
  t.is(d.space.result(op(away, 4)), undefined);
  t.is(d.space.session(away), 'ended');
  t.deepEqual(d.end(away), { kind: 'done' });
  t.is(d.space.stored(d.space.rowOf(a)).deliveries, 1);
});

test('E8: an end gives back a batch an entry; the rest is nobody’s until GIVE-BACK, in order [4.20]', (t) => {
  const d = new Driver({ batchTuplesMax: 2 });
  d.know(away);
  d.know(other);
  const ids = ['a', 'b', 'c', 'd', 'e'].map((text) => d.write(text)) as TupleId[];
  const [a, b, c, e, f] = ids as [TupleId, TupleId, TupleId, TupleId, TupleId];
  d.hand(op(away, 2), a, b, c);
  d.hand(op(away, 1), f);
  d.hand(op(other, 1), e);
  d.end(away);
  t.is(d.space.session(away), 'ended');
  t.deepEqual(d.ready(), ['a', 'e']);
  t.is(d.space.returning, 2);
  // It is handed over still, but to nobody: no receipt takes it away, nobody else can have it.
  d.receipt(away, 2, b);
  d.receipt(other, 1, b);
  t.is(taken(d.hand(op(other, 2), b)), 'miss');
  t.is(taken(d.hand(op(away, 3), a)), 'ended');
  t.deepEqual(d.space.counts(), { ready: 2, handed: 3 });
  // What is let go meanwhile comes behind it, and its entry gives back what was first.
  d.end(other);
  t.deepEqual(d.events().slice(-2), ['returned b', 'returned c']);
  t.is(d.space.returning, 1);
  d.do({ kind: 'give-back' });
  t.deepEqual(d.ready(), ['a', 'b', 'c', 'd', 'e']);
  t.is(d.space.stored(d.space.rowOf(e)).deliveries, 1);
  const { length } = d.events();
  d.do({ kind: 'give-back' });
  t.is(d.events().length, length);
});

test('a floor gives back a batch an entry, whatever the entry does besides [4.21]', (t) => {
  const d = new Driver({ batchTuplesMax: 2 });
  d.know(away);
  const ids = ['a', 'b', 'c', 'd'].map((text) => d.write(text)) as TupleId[];
  d.hand(op(away, 1), ...ids);
  d.fence(op(away, 9, 2, 5));
  t.deepEqual(d.ready(), ['a', 'b']);
  t.is(d.space.admit(op(away, 1)), 'closed');
  t.is(d.space.result(op(away, 1)), undefined);
  d.receipt(away, 1, ids[3] as TupleId, 6);
  t.is(
    d.space.returning,
    2,
    'what is below the floor is not received, and a floor alone adds nothing',
  );
  d.do({ kind: 'give-back' });
  t.deepEqual(d.ready(), ['a', 'b', 'c', 'd']);
  t.deepEqual(d.space.sessionLoad(away), { operations: 1, bytes: 0 });
});

test('what an entry gives back is 1 MiB at most, or one tuple; nothing smaller overtakes [4.20]', (t) => {
  const d = new Driver({ batchBytesMax: 10 });
  d.know(away);
  const texts = ['eleven bytes', 'nine bytes', 'x', 'y'];
  d.hand(op(away, 1), ...texts.map((text) => d.write(text)));
  d.end(away);
  t.deepEqual(d.ready(), ['eleven bytes']);
  d.do({ kind: 'give-back' });
  t.deepEqual(d.ready(), ['eleven bytes', 'nine bytes']);
  d.do({ kind: 'give-back' });
  t.deepEqual(d.ready(), texts);
});

test('E9: only ready tuples whose lease is over expire [4.28]', (t) => {
  const d = new Driver();
  d.know(away);
  const [a, b, c] = [
    d.write('a', { leaseMs: 10 }),
    d.write('b', { leaseMs: 11 }),
    d.write('c', { leaseMs: 10 }),
  ];
  d.hand(op(away, 1), c);
  t.deepEqual(d.space.expiredRows((d.stampMs + 9) as never, 10), []);
  d.do({ kind: 'lead' }, 10);
  t.deepEqual(d.space.expiredRows(d.space.stampMs, 10), [a]);
  d.do({ kind: 'expire', tuples: [a, b, c] });
  t.deepEqual(d.ready(), ['b']);
  t.deepEqual(d.space.counts(), { ready: 1, handed: 1 });
  // SPEC §4: an expired tuple that is handed over stays so; given back, it is expired.
  d.end(away);
  t.deepEqual(d.events().slice(-2), ['expired a', 'expired c']);
  t.is(d.space.rowOf(c), -1 as never);
});

test('SPEC §4: a tuple whose deadline is at the stamp is invisible, for ever [4.25]', (t) => {
  const d = new Driver();
  d.know(away);
  const id = d.write('a', { leaseMs: 10 });
  const { revision } = d.space.stored(d.space.rowOf(id));
  d.do({ kind: 'lead' }, 10);
  t.false(d.space.rows.visible(d.space.rowOf(id), d.space.stampMs));
  t.is(taken(d.hand(op(away, 1), id)), 'miss');
  const bytes = new Uint8Array(1);
  const replace = { kind: 'replace', operation: undefined, tuple: id, revision, bytes } as const;
  t.is(d.do({ ...replace, leaseMs: 99 }).kind, 'miss');
  t.like(d.cancel(id), { result: { kind: 'cancelled', found: false } });
  const renewed = d.do({ kind: 'renew', operation: undefined, tuple: id, leaseMs: 99 });
  t.like(renewed, { result: { kind: 'renewed', found: false } });
});

test('a lease runs from the entry’s stamp, and a renewal replaces it, handed over or not', (t) => {
  const d = new Driver();
  d.know(away);
  const id = d.write('a', { leaseMs: 10 });
  t.is(d.space.nextDeadlineMs(), d.stampMs + 10);
  d.hand(op(away, 1), id);
  t.is(d.space.nextDeadlineMs(), Number.POSITIVE_INFINITY);
  d.do({ kind: 'renew', operation: undefined, tuple: id, leaseMs: 100 }, 5);
  d.end(away);
  t.is(d.space.nextDeadlineMs(), d.stampMs + 100);
  d.do({ kind: 'renew', operation: undefined, tuple: id, leaseMs: undefined });
  t.is(d.space.nextDeadlineMs(), Number.POSITIVE_INFINITY);
});

test('SPEC §3: a replacement keeps id, age and lease, and its revision is its position [3.8, 3.15]', (t) => {
  const d = new Driver();
  const id = d.write('a', { leaseMs: 50 });
  d.write('b');
  const before = d.space.stored(d.space.rowOf(id));
  const replace = {
    kind: 'replace',
    operation: undefined,
    tuple: id,
    bytes: new Uint8Array(Buffer.from('A')),
  } as const;
  t.is(d.do({ ...replace, revision: 99 as LogIndex, leaseMs: 'keep' }).kind, 'miss');
  d.do({ ...replace, revision: before.revision, leaseMs: 'keep' }, 7);
  const after = d.space.stored(d.space.rowOf(id));
  t.deepEqual(d.ready(), ['A', 'b']);
  t.is(after.leaseEndMs, before.leaseEndMs);
  t.is(after.writtenAtMs, before.writtenAtMs);
  t.is(after.revision, d.space.appliedIndex);
  d.do({ ...replace, revision: after.revision, leaseMs: 5 });
  t.is(d.space.stored(d.space.rowOf(id)).leaseEndMs, (d.stampMs + 5) as never);
  const [event] = d.allEvents().slice(-1);
  t.is(event?.kind, 'replaced');
  t.deepEqual(event?.old, { revision: after.revision, bytes: new Uint8Array(Buffer.from('A')) });
});

test('a replacement that is remembered holds no memory but its own', (t) => {
  const d = new Driver();
  d.know(away);
  const id = d.write('a');
  const { revision } = d.space.stored(d.space.rowOf(id));
  const bytes = new Uint8Array(Buffer.from('A'));
  d.do({ kind: 'replace', operation: op(away, 1), tuple: id, revision, bytes, leaseMs: 'keep' });
  const result = d.space.result(op(away, 1));
  if (result?.kind !== 'replaced') return t.fail(result?.kind);
  t.deepEqual([result.old.bytes.buffer.byteLength, result.new.bytes.buffer.byteLength], [1, 1]);
});

test('a dropped space loses its ready tuples in batches, and handed ones when they come back', (t) => {
  const d = new Driver({ batchTuplesMax: 2, batchBytesMax: 100 });
  d.know(away);
  const ids = ['a', 'b', 'c', 'd'].map((text) => d.write(text));
  d.hand(op(away, 1), ids[0] as TupleId, ids[3] as TupleId);
  const elsewhere = d.write('x', { space: 2 });
  d.write('e');
  const drop = () => d.do({ kind: 'drop-space', space: home });
  drop();
  t.deepEqual(d.ready(), ['e']);
  drop();
  t.deepEqual(d.space.counts(home), { ready: 0, handed: 2 });
  t.deepEqual(taken(d.hand(op(away, 1), elsewhere)), ['a', 'd']);
  d.receipt(away, 1, ids[3] as TupleId);
  d.end(away);
  t.deepEqual(d.space.counts(), { ready: 1, handed: 0 });
  t.deepEqual(d.events().slice(-1), ['cancelled a']);
  t.deepEqual([...d.space.spaces()], [2 as SpaceId]);
});

test('a dropped space’s batch is bounded in bytes, with one tuple at least', (t) => {
  const d = new Driver({ batchTuplesMax: 9, batchBytesMax: 5 });
  for (const text of ['abcdefgh', 'ab', 'cd', 'ef']) d.write(text);
  d.do({ kind: 'drop-space', space: home });
  t.deepEqual(d.ready(), ['ab', 'cd', 'ef']);
  d.do({ kind: 'drop-space', space: home });
  t.deepEqual(d.ready(), ['ef']);
});

test('SPEC §4: what a session holds here is counted, and nothing open is forgotten [4.17]', (t) => {
  const d = new Driver();
  d.know(away);
  const id = d.write('twelve bytes');
  t.deepEqual(d.space.sessionLoad(away), { operations: 0, bytes: 0 });
  d.hand(op(away, 1), id);
  d.fence(op(away, 2, 2));
  t.deepEqual(d.space.sessionLoad(away), { operations: 2, bytes: 12 });
  d.cancel(d.write('b'), op(away, 3));
  t.is(d.space.sessionLoad(away).operations, 3);
  for (let q = 4; q < 6_000; q += 1)
    d.space.apply((d.space.appliedIndex + 1) as LogIndex, {
      stampMs: d.space.stampMs,
      command: { kind: 'fence', operation: op(away, q, 2) },
    });
  t.is(d.space.sessionLoad(away).operations, 5_999);
  d.receipt(away, 1, id, 6_000);
  t.deepEqual(d.space.sessionLoad(away), { operations: 0, bytes: 0 });
  d.space.verify();
});

test('entries are applied in order, each once', (t) => {
  const d = new Driver();
  d.write('a');
  const lead = { stampMs: d.space.stampMs, command: { kind: 'lead' } } as const;
  t.throws(() => d.space.apply(1 as LogIndex, lead), { message: /in order/ });
  t.throws(() => d.space.apply(3 as LogIndex, lead), { message: /in order/ });
});

test('the stamp never falls, whatever an entry says [4.24]', (t) => {
  const d = new Driver();
  d.do({ kind: 'lead' }, 100);
  d.do({ kind: 'lead' }, -500);
  t.is(d.space.stampMs, 1_000_100 as never);
});
