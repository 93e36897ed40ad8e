import { FieldOffsets, hashOfPattern, matchTuple, type Value } from '@tuplet/proto';
import test from 'ava';
import { present } from '../base/assert.ts';
import type { TupleId } from '../base/ids.ts';
import { Prng } from '../base/prng.ts';
import type { Query } from './messages.ts';
import type { RowNumber, SpaceView } from './ports.ts';
import {
  any,
  type Group,
  newGroup,
  newTuple,
  operation,
  put,
  query,
  range,
  read,
  take,
  template,
  testSpace,
  union,
  withSession,
} from './testing-bed.ts';
import { TupleIndex } from './tuple-index.ts';
import type { Waiting } from './waiting.ts';
import { WaitingIndex } from './waiting-index.ts';

const offsets = new FieldOffsets();

/** What a read of up to 1,000 finds, against a walk over all tuples. */
function agrees(group: Group, matching: ReturnType<typeof template>): boolean {
  const { space } = group;
  const expected: TupleId[] = [];
  for (let row = space.oldestReady(testSpace); row >= 0; row = space.nextReady(row)) {
    const bytes = space.bytesOf(row);
    if (matchTuple(matching, bytes, offsets.scan(bytes))) expected.push(space.idOf(row));
  }
  const wanted = { query: query(matching, { max: 1_000 }), waitEnded: true };
  group.receive(5, read(77, matching, wanted));
  const found = group.take('found').flatMap(({ tuples }) => tuples.map(({ id }) => id));
  group.take('nothing');
  return JSON.stringify(found) === JSON.stringify(expected);
}

function randomTemplate(prng: Prng): ReturnType<typeof template> {
  const field = () =>
    prng.pick([
      any,
      prng.below(5),
      prng.below(5),
      range(prng.below(3), prng.between(3, 5)),
      { kind: 'any-of', values: [prng.below(5), prng.below(5), 'x'] } as const,
      { kind: 'formal', formal: 3 } as const,
    ]);
  const alternatives = Array.from({ length: prng.between(1, 3) }, () =>
    Array.from({ length: prng.between(1, 3) }, field),
  );
  return union(alternatives);
}

function randomTuple(prng: Prng): Value[] {
  return Array.from({ length: prng.between(1, 3) }, () => prng.pick([prng.below(5), 'x', null]));
}

test('indexes find what a walk finds, oldest first, while tuples come, go, return and change [3.24, 3.25]', (t) => {
  for (let seed = 1; seed <= 25; seed += 1) {
    const prng = new Prng(seed, 'matching');
    const group = newGroup(1, { tupleIndexRowsMin: 1, tupleIndexesMax: 4 });
    const templates = Array.from({ length: 6 }, () => randomTemplate(prng));
    let sessions = 0;
    let session = withSession(group);
    for (let step = 0; step < 120; step += 1) {
      const choice = prng.below(10);
      if (choice < 4)
        put(group, ...Array.from({ length: 3 }, () => newTuple(...randomTuple(prng))));
      else if (choice < 6) {
        group.receive(
          1,
          take(group, operation(session, step + 1), prng.pick(templates), { waitEnded: true }),
        );
        group.settle();
      } else if (choice === 6) {
        // What was handed over returns to its old place.
        group.receiveLeader({ kind: 'deliver-end', session, home: group.partition });
        group.settle();
        sessions += 1;
        session = withSession(group, sessions + 1);
      }
      if (!agrees(group, prng.pick(templates))) {
        t.fail(`seed ${seed}, step ${step}`);
        return;
      }
    }
  }
  t.pass();
});

class Standing implements Waiting {
  readonly query: Query;
  readonly arrivalMs: number;
  readonly serial: number;
  place = undefined;
  constructor(waits: Query, arrivalMs: number, serial: number) {
    this.query = waits;
    this.arrivalMs = arrivalMs;
    this.serial = serial;
  }
}

test('what one session gives back finds its places in an index in a few steps each', (t) => {
  const group = newGroup();
  for (let value = 0; value < 6_000; value += 1) put(group, newTuple(value % 2, value));
  const { space } = group;
  const rows: RowNumber[] = [];
  for (let row = space.oldestReady(testSpace); row >= 0; row = space.nextReady(row)) rows.push(row);
  let looks = 0;
  const counting: SpaceView = Object.create(space, {
    rows: { value: space.rows },
    idOf: {
      value: (row: RowNumber) => {
        looks += 1;
        return space.idOf(row);
      },
    },
  });
  const index = new TupleIndex(counting, testSpace, [0], rows.length);
  const insert = (row: RowNumber): void => {
    const bytes = space.bytesOf(row);
    index.insert(row, bytes, offsets.scan(bytes));
  };
  for (const row of rows) insert(row);
  const returned = rows.filter((_, at) => at >= 1_500 && at < 4_500 && at % 3 > 0);
  for (const row of returned) index.remove(row);
  looks = 0;
  for (const row of returned) insert(row);
  t.true(looks < returned.length * 10 + rows.length * 2, `${looks} looks for ${returned.length}`);
  const hash = hashOfPattern(present(template(1, any).alternatives[0], 'one'), [0]);
  const found: RowNumber[] = [];
  for (let row = index.first(hash); row >= 0; row = index.after(row)) found.push(row);
  t.deepEqual(
    found,
    rows.filter((_, at) => at % 2 === 1),
  );
});

test('a tuple finds the first by arrival among those whose template matches, and all of them [3.26]', (t) => {
  for (let seed = 1; seed <= 80; seed += 1) {
    const prng = new Prng(seed, 'waiting');
    const index = new WaitingIndex<Standing>();
    const standing = new Set<Standing>();
    for (let step = 0; step < 150; step += 1) {
      if (prng.chance(2, 3)) {
        const each = new Standing(query(randomTemplate(prng)), prng.below(50), step);
        index.add(each);
        standing.add(each);
      } else if (standing.size > 0) {
        const each = prng.pick([...standing]);
        index.remove(each);
        standing.delete(each);
      }
      const { bytes } = newTuple(...randomTuple(prng));
      const expected = [...standing]
        .filter((each) => matchTuple(each.query.template, bytes, offsets.scan(bytes)))
        .sort((a, b) => a.arrivalMs - b.arrivalMs || a.serial - b.serial);
      const found = index.first(testSpace, bytes, offsets.scan(bytes), () => true);
      const all = index.all(testSpace, bytes, offsets.scan(bytes));
      if (
        found !== expected[0] ||
        all.length !== expected.length ||
        index.count !== standing.size
      ) {
        t.fail(`seed ${seed}, step ${step}`);
        return;
      }
    }
  }
  t.pass();
});

test('a template that many share is held against a tuple once, until it matches', (t) => {
  const index = new WaitingIndex<Standing>();
  const not = { kind: 'negation', matcher: { kind: 'actual', value: 'done' } } as const;
  const source = template('job', not);
  let looks = 0;
  const counting = Object.create(source, {
    alternatives: {
      get: () => {
        looks += 1;
        return source.alternatives;
      },
    },
  });
  const other = new Standing(query(template('job', 'done', any)), 0, 0);
  const standing = Array.from({ length: 100 }, (_, i) => new Standing(query(counting), 1, i + 1));
  for (const each of [other, ...standing]) index.add(each);
  const first = (...fields: Value[]): Standing | undefined => {
    const { bytes } = newTuple(...fields);
    return index.first(testSpace, bytes, offsets.scan(bytes), () => true);
  };
  for (let tuple = 1; tuple <= 3; tuple += 1) {
    looks = 0;
    t.is(first('job', 'done'), undefined);
    t.is(looks, 1);
    t.is(first('job', 'new'), standing[0], 'what one tuple missed says nothing of the next');
    t.is(first('job', 'done', 1), other);
  }
});

test('ranges over ints, floats, strings and timestamps find their waiters, at every edge', (t) => {
  const values: Value[] = [
    0,
    -0.5,
    1,
    1.5,
    2n ** 62n,
    -(2n ** 62n),
    1e300,
    Number.NaN,
    'a',
    'ab',
    'b',
    '',
  ];
  const index = new WaitingIndex<Standing>();
  const standing: Standing[] = [];
  const bounds = [
    ...values.filter((each) => typeof each === 'number' && !Number.isNaN(each)),
  ] as number[];
  for (const lower of bounds) {
    for (const upper of bounds) {
      const each = new Standing(query(template('r', range(lower, upper))), 0, standing.length);
      index.add(each);
      standing.push(each);
    }
  }
  for (const prefix of ['', 'a', 'ab', 'abcdefgh']) {
    const each = new Standing(query(template('r', { kind: 'prefix', prefix })), 0, standing.length);
    index.add(each);
    standing.push(each);
  }
  for (const value of values) {
    const { bytes } = newTuple('r', value);
    const expected = standing.filter((each) =>
      matchTuple(each.query.template, bytes, offsets.scan(bytes)),
    );
    t.is(index.all(testSpace, bytes, offsets.scan(bytes)).length, expected.length, String(value));
  }
});
