import test from 'ava';
import {
  any,
  handed,
  newGroup,
  newTuple,
  operation,
  put,
  register,
  take,
  template,
  withSession,
  write,
} from './testing-bed.ts';

test('T4: a pinned take finds what is there with one entry', (t) => {
  const group = newGroup();
  const session = withSession(group);
  const [id] = put(group, newTuple('job', 1));
  group.receive(1, take(group, operation(session, 1), template('job', any)));
  t.deepEqual(
    group.proposed.map(({ kind }) => kind),
    ['hand'],
  );
  t.deepEqual(group.kinds(), []);
  group.commit();
  const [said] = group.take('result');
  t.deepEqual(
    handed(said).map((tuple) => tuple.id),
    id === undefined ? [] : [id],
  );
});

test('T4, E3: a write to a waiting pinned take is one entry', (t) => {
  const group = newGroup();
  const session = withSession(group);
  group.receive(1, take(group, operation(session, 1), template('job', any)));
  t.is(group.pending.length, 0);
  group.receive(2, write(group, operation(session, 2), newTuple('job', 1)));
  t.is(group.pending.length, 1);
  group.commit();
  t.is(group.take('result').length, 2);
  t.is(group.space.counts().handed, 1);
});

test('W2, W5: an unpinned take is offered a tuple, and its acceptance is the only entry', (t) => {
  const group = newGroup();
  const session = withSession(group);
  put(group, newTuple('job', 1));
  const op = operation(session, 1);
  group.receive(1, register(op, template(any, 1)));
  const [offer] = group.take('offer');
  t.is(group.pending.length, 0);
  t.truthy(offer);
  if (offer === undefined) return;
  const { epoch, call } = offer;
  group.receive(1, { kind: 'accept', call, operation: op, epoch, offer: offer.offer });
  t.is(group.pending.length, 1);
  group.commit();
  t.is(handed(group.take('result')[0]).length, 1);
});
