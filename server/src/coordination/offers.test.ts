import test from 'ava';
import type { Term } from '../base/ids.ts';
import type { SessionOperation } from '../space/command.ts';
import {
  any,
  applyDirectly,
  type Group,
  handed,
  newGroup,
  newTuple,
  operation,
  put,
  query,
  register,
  type Said,
  take,
  template,
  withSession,
} from './testing-bed.ts';

const job = template('job', any);

function accept(group: Group, op: SessionOperation, offer: Said<'offer'> | undefined): void {
  const { epoch = 0 as Term, offer: n = 0 } = offer ?? {};
  group.receive(1, { kind: 'accept', call: op.sequence, operation: op, epoch, offer: n });
}

function decline(
  group: Group,
  op: SessionOperation,
  offer: Said<'offer'> | undefined,
  r: number,
): void {
  const { epoch = 0 as Term, offer: n = 0 } = offer ?? {};
  group.receive(1, { kind: 'decline', call: op.sequence, operation: op, epoch, offer: n, r });
}

function offered(): { group: Group; op: SessionOperation; offer: Said<'offer'> | undefined } {
  const group = newGroup();
  const op = operation(withSession(group), 1);
  put(group, newTuple('job', 1));
  group.receive(1, register(op, job));
  return { group, op, offer: group.take('offer')[0] };
}

test('W1: REGISTER of an operation that is not admitted is answered STOP', (t) => {
  const group = newGroup();
  const session = withSession(group);
  applyDirectly(group, { kind: 'fence', operation: operation(session, 1, { attempt: 3 }) });
  group.receive(1, register(operation(session, 1, { attempt: 2 }), job));
  t.deepEqual(
    group.take('stop').map(({ why }) => why),
    ['fenced'],
  );
});

test('W1: REGISTER of an operation that has its result is answered with it', (t) => {
  const { group, op, offer } = offered();
  accept(group, op, offer);
  group.commit();
  group.take('result');
  group.receive(1, register(op, job, 2));
  t.is(handed(group.take('result')[0]).length, 1);
});

test('W1: a REGISTER whose r is not above the newest is dropped', (t) => {
  const { group, op } = offered();
  group.receive(1, register(op, job, 1));
  t.deepEqual(group.kinds(), []);
});

test('W1: a REGISTER with a newer r gets the outstanding offer again', (t) => {
  const { group, op, offer } = offered();
  group.receive(1, register(op, job, 2));
  t.deepEqual(
    group.take('offer').map((each) => each.offer),
    [offer?.offer],
  );
});

test('W1: while an acceptance is in flight a REGISTER is answered nothing', (t) => {
  const { group, op, offer } = offered();
  accept(group, op, offer);
  group.receive(1, register(op, job, 2));
  t.deepEqual(group.kinds(), []);
});

test('W2: an offer locks its tuple; the next waiter gets the next tuple', (t) => {
  const { group, op } = offered();
  const other = operation(op.session, 2);
  group.receive(2, register(other, job));
  t.deepEqual(group.kinds(), []);
  put(group, newTuple('job', 2));
  t.is(group.take('offer').length, 1);
  t.is(group.leader?.stats().offers, 2);
});

test('W2: waiters are served in order of arrival, pinned or not [3.26]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, register(operation(session, 1), job));
  group.receive(1, take(group, operation(session, 2), job));
  put(group, newTuple('job', 1));
  t.deepEqual(
    group.kinds().filter((kind) => kind !== 'empty'),
    ['offer'],
  );
  put(group, newTuple('job', 2));
  t.is(group.space.counts().handed, 1);
});

test('W2: a call that waited elsewhere before takes the place that it had [3.26]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 1), job));
  const waited = take(group, operation(session, 2), job, { query: query(job, { waitedMs: 500 }) });
  group.receive(1, waited);
  put(group, newTuple('job', 1));
  t.deepEqual(
    group.take('result').map(({ call }) => call),
    [2],
  );
});

test('W3: EMPTY is said once, when nothing is ready, and not because of a lock [3.29]', (t) => {
  const { group, op, offer } = offered();
  const other = operation(op.session, 2);
  group.receive(2, register(other, job));
  group.leader?.flush(group.nowMs);
  t.deepEqual(group.kinds(), [], 'a locked match is not empty');
  accept(group, op, offer);
  group.commit();
  t.deepEqual(group.kinds().sort(), ['empty', 'result']);
  group.leader?.flush(group.nowMs);
  t.deepEqual(group.kinds(), []);
});

test('W3, W1: EMPTY is said again to one who registers again', (t) => {
  const group = newGroup();
  const op = operation(withSession(group), 1);
  group.receive(1, register(op, job, 1));
  group.receive(1, register(op, job, 2));
  t.deepEqual(group.kinds(), ['empty', 'empty']);
});

test('W4: an offer that nobody accepts lapses after 200 ms, and the next in line gets it', (t) => {
  const { group, op } = offered();
  group.receive(2, register(operation(op.session, 2), job));
  group.pass(190);
  t.deepEqual(group.kinds(), []);
  group.pass(20);
  t.deepEqual(
    group.take('offer').map(({ call }) => call),
    [2],
  );
});

test('W4: a lapsed waiter is passed over until it registers again', (t) => {
  const { group, op } = offered();
  group.pass(210);
  t.deepEqual(group.kinds(), []);
  group.receive(1, register(op, job, 2));
  t.is(group.take('offer').length, 1);
});

test('W5: an accepted offer is logged once', (t) => {
  const { group, op, offer } = offered();
  accept(group, op, offer);
  accept(group, op, offer);
  t.is(group.pending.length, 1);
  group.commit();
  t.is(handed(group.take('result')[0]).length, 1);
});

test('W5: a lapsed offer may still be accepted while its tuple is free', (t) => {
  const { group, op, offer } = offered();
  group.pass(210);
  accept(group, op, offer);
  group.commit();
  t.is(handed(group.take('result')[0]).length, 1);
});

test('W5: a lapsed offer whose tuple another holds is a MISS', (t) => {
  const { group, op, offer } = offered();
  group.receive(2, register(operation(op.session, 2), job));
  group.pass(210);
  t.is(group.take('offer').length, 1);
  accept(group, op, offer);
  t.deepEqual(
    group.take('miss').map((miss) => [miss.offerEpoch, miss.offer]),
    [[offer?.epoch, offer?.offer]],
  );
  t.is(group.pending.length, 0);
});

test('W5: an acceptance of an earlier epoch is never logged, and answered by what is applied', (t) => {
  const { group, op, offer } = offered();
  group.elect();
  group.receive(1, register(op, job, 2));
  t.is(group.take('offer').length, 1);
  accept(group, op, offer);
  t.is(group.pending.length, 0);
  t.deepEqual(
    group.take('miss').map(({ offerEpoch }) => offerEpoch),
    [offer?.epoch],
  );
});

test('W5, L1: an acceptance that the new leader finds in its log is answered with its result', (t) => {
  const { group, op, offer } = offered();
  accept(group, op, offer);
  group.elect(1);
  t.deepEqual(group.kinds(), [], 'L2: entries found are applied without an answer');
  accept(group, op, offer);
  t.is(handed(group.take('result')[0]).length, 1);
  t.is(group.pending.length, 0);
});

test('W5: an acceptance of an epoch that this leader does not know yet is left to that leader', (t) => {
  const { group, op } = offered();
  const epoch = (group.epoch + 1) as Term;
  group.receive(1, { kind: 'accept', call: 1, operation: op, epoch, offer: 1 });
  t.deepEqual(group.kinds(), ['not-leader']);
});

test('W5: an acceptance is tied to its offer: a later offer is not taken up by it', (t) => {
  const { group, op, offer } = offered();
  decline(group, op, offer, 2);
  put(group, newTuple('job', 2));
  group.receive(1, register(op, job, 3));
  t.is(group.take('offer').length, 1);
  accept(group, op, offer);
  t.is(group.pending.length, 0);
  t.deepEqual(group.kinds(), ['miss']);
});

test('W6: DECLINE frees the tuple and pauses the waiter', (t) => {
  const { group, op, offer } = offered();
  group.receive(2, register(operation(op.session, 2), job));
  decline(group, op, offer, 2);
  group.leader?.flush(group.nowMs);
  t.deepEqual(
    group.take('offer').map(({ call }) => call),
    [2],
  );
});

test('W6: a DECLINE that a REGISTER overtook is not obeyed', (t) => {
  const { group, op, offer } = offered();
  group.receive(1, register(op, job, 3));
  group.take('offer');
  decline(group, op, offer, 2);
  t.is(group.leader?.stats().offers, 1);
  accept(group, op, offer);
  t.is(group.pending.length, 1);
});

test('W6: CANCEL removes the waiter and its offer, unless the acceptance is logged', (t) => {
  const { group, op } = offered();
  group.receive(1, { kind: 'withdraw', call: 1, operation: op });
  t.is(group.leader?.stats().waiters, 0);
  t.is(group.leader?.stats().offers, 0);

  const second = offered();
  accept(second.group, second.op, second.offer);
  second.group.receive(1, { kind: 'withdraw', call: 1, operation: second.op });
  second.group.commit();
  t.is(handed(second.group.take('result')[0]).length, 1);
});

test('E4: a fence is an entry, answers the earlier result, and stops waiters of lower attempts [4.13]', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, register(operation(session, 1), job));
  group.take('empty');
  const second = operation(session, 1, { attempt: 2 });
  group.receive(2, { kind: 'fence', call: 5, operation: second });
  t.deepEqual(group.kinds(), []);
  group.commit();
  t.deepEqual(group.kinds(), ['stop', 'fenced']);
  t.is(group.leader?.stats().waiters, 0);
  group.receive(2, { kind: 'fence', call: 5, operation: second });
  t.is(group.pending.length, 0, 'repeating it needs no entry');
  t.deepEqual(group.kinds(), ['fenced']);
});

test('E4: a fence meets an acceptance that stands before it in the log: the newer attempt gets the tuple', (t) => {
  const { group, op, offer } = offered();
  accept(group, op, offer);
  const second = operation(op.session, 1, { attempt: 2 });
  group.receive(2, { kind: 'fence', call: 5, operation: second });
  group.commit();
  t.deepEqual(
    group.take('result').map(({ call }) => call),
    [1, 5],
  );
});

test('E4: an acceptance behind a fence in the log is void', (t) => {
  const { group, op, offer } = offered();
  const second = operation(op.session, 1, { attempt: 2 });
  group.receive(2, { kind: 'fence', call: 5, operation: second });
  accept(group, op, offer);
  group.commit();
  t.deepEqual(group.kinds().sort(), ['fenced', 'stop']);
  t.is(group.space.counts().ready, 1);
});

test('an offer of many names what fits `max`, and is accepted whole or not at all', (t) => {
  const group = newGroup();
  const op = operation(withSession(group), 1);
  const ids = put(group, newTuple('job', 1), newTuple('job', 2), newTuple('job', 3));
  group.receive(1, { ...register(op, job), query: query(job, { max: 2 }) });
  const [offer] = group.take('offer');
  t.is(group.leader?.stats().offers, 2);
  accept(group, op, offer);
  group.commit();
  t.deepEqual(
    handed(group.take('result')[0]).map(({ id }) => id),
    ids.slice(0, 2),
  );
});

test('a router that is gone leaves no waiter and no offer behind; what is logged stands', (t) => {
  const { group, op, offer } = offered();
  group.receive(1, register(operation(op.session, 2), job));
  accept(group, op, offer);
  group.leader?.coordinatorGone(1);
  t.is(group.leader?.stats().waiters, 1);
  group.commit();
  t.is(group.leader?.stats().waiters, 0);
  t.is(group.space.counts().handed, 1);
});

test('more waiters than the bound are refused', (t) => {
  const group = newGroup(1, { waitersMax: 1 });
  const session = withSession(group);
  group.receive(1, register(operation(session, 1), job));
  group.receive(1, register(operation(session, 2), job));
  t.deepEqual(
    group.take('refused').map(({ reason }) => reason),
    ['WAITERS_EXHAUSTED'],
  );
});
