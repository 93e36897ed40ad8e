import { encodeValue, Routing } from '@tuplet/proto';
import test from 'ava';
import { BodyWriter } from './body.ts';
import { callKinds, type OperationName } from './engine/calls.ts';
import { Placement } from './placement.ts';
import { t as formal, PreparedTemplate } from './template.ts';
import { toStoredFields } from './value.ts';

const rules = [{ tag: 'job', spread: 64, fields: [1] }];
const placement = new Placement(new Routing('jobs', rules), 16);
const pinned = new PreparedTemplate(['job', 7, formal.any]);
const open = new PreparedTemplate(['job', formal.any, formal.any]);
const tuple = toStoredFields(['job', 7, 'x']);
const other = toStoredFields(['job', 8, 'x']);
const idOf11 = 11 * 2 ** 44 + 5;

/** The partition of a request that `write` makes; `lasting` bodies lie elsewhere. */
function placeOf(
  name: OperationName,
  write: (writer: BodyWriter) => BodyWriter,
  lasting = false,
): number {
  // Bodies before it, so that this one does not begin a slab.
  const writer = new BodyWriter();
  writer.begin().string(1, 'before').body(lasting);
  return placement.partitionOf(callKinds[name], write(writer.begin()).body(lasting));
}

test('a tuple, a pinned template and an id name one partition, whatever the call', (t) => {
  const place = placeOf('write', (body) => body.tuple(3, tuple).duration(4, 1_000));
  t.true(place >= 1 && place <= 16);
  t.not(
    placeOf('write', (body) => body.tuple(3, other)),
    place,
    'or this test shows nothing',
  );
  const template = (field: number) => (body: BodyWriter) => body.template(field, pinned);
  for (const lasting of [false, true]) {
    t.is(placeOf('take', template(3), lasting), place);
    t.is(placeOf('read', template(2), lasting), place);
    t.is(
      placeOf('takeMany', (body) => template(3)(body).number(4, 5), lasting),
      place,
    );
    t.is(placeOf('readMany', template(2), lasting), place);
  }
  t.is(placeOf('count', template(2)), place);
  t.is(
    placeOf('increment', (body) => template(3)(body).number(4, 1).bytes(5, encodeValue(1))),
    place,
  );
  t.is(
    placeOf('replace', (body) => template(3)(body).tuple(5, tuple)),
    place,
  );
  t.is(
    placeOf('writeIfAbsent', (body) => body.tuple(3, tuple).template(5, pinned)),
    place,
  );
  const many = (body: BodyWriter): BodyWriter =>
    body.message(3, (item) => item.tuple(1, tuple)).message(3, (item) => item.tuple(1, other));
  t.is(placeOf('writeMany', many), place, 'the first decides');
  for (const name of ['renew', 'cancel'] as const) {
    t.is(
      placeOf(name, (body) => body.number(3, idOf11)),
      11,
    );
  }
  const version = (body: BodyWriter): BodyWriter =>
    body.message(4, (item) => item.number(1, idOf11).number(2, 9)).tuple(5, tuple);
  t.is(placeOf('replace', version), 11);
});

test('what may match in several places, or is not understood, names none', (t) => {
  t.is(
    placeOf('take', (body) => body.template(3, open), true),
    0,
  );
  t.is(
    placeOf('count', (body) => body.number(3, 1).number(4, 1)),
    0,
    'all tuples of a state',
  );
  t.is(
    placeOf('count', (body) => body),
    0,
  );
  t.is(
    placeOf('writeMany', (body) => body),
    0,
  );
});
