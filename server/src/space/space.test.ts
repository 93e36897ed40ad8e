import { deepStrictEqual, strictEqual } from 'node:assert';
import { env } from 'node:process';
import test from 'ava';
import fc from 'fast-check';
import type { LogIndex, SpaceId, TupleId } from '../base/ids.ts';
import type { Operation, SessionOperation } from './command.ts';
import type { Row } from './rows.ts';
import { Space } from './space.ts';
import {
  type Choice,
  choices,
  entryOf,
  testLimits,
  testPartition,
  testRequests,
  testSequences,
  testSessions,
  testSpaces,
} from './testing-history.ts';
import { SpaceModel } from './testing-model.ts';

const { TUPLET_SPACE_RUNS = '300' } = env;
const numRuns = Number(TUPLET_SPACE_RUNS);
const limits = { ...testLimits, historyBytesMax: 1e9, batchBytesMax: 1e9 };

/** Everything that one can see of a space, compared with the model. */
function compare(space: Space, model: SpaceModel): void {
  strictEqual(space.appliedIndex, model.index);
  strictEqual(space.stampMs, model.stampMs);
  for (const id of testSpaces) compareLists(space, model, id);
  for (const [id, tuple] of model.tuples) {
    const row = space.rowOf(id);
    deepStrictEqual(space.stored(row), model.stored(id));
    deepStrictEqual(Buffer.from(space.bytesOf(row)), Buffer.from(tuple.bytes));
    strictEqual(space.rows.space(row), tuple.space);
    strictEqual(space.rows.slot(row), tuple.slot);
  }
  const ready = [...model.tuples.values()].filter((t) => t.state === 'ready');
  const ends = ready.map((t) => t.leaseEndMs ?? Number.POSITIVE_INFINITY);
  strictEqual(space.nextDeadlineMs(), Math.min(Number.POSITIVE_INFINITY, ...ends));
  const over = ready.filter((t) => (t.leaseEndMs ?? Infinity) <= model.stampMs).map((t) => t.id);
  const expired = space.expiredRows(model.stampMs, 1_000);
  if (over.length <= limits.batchTuplesMax) deepStrictEqual(new Set(expired), new Set(over));
  for (const slot of [0, 1, 2]) {
    for (const id of testSpaces) {
      const expected = model.slots.get(`${id}/${slot}`) ?? 0;
      strictEqual(space.slotLastChange(id, slot as never), expected);
    }
  }
  compareSessions(space, model);
  compareHistory(space, model);
}

function compareLists(space: Space, model: SpaceModel, id: SpaceId): void {
  const all: TupleId[] = [];
  for (let row = space.oldest(id); row >= 0; row = space.next(row)) all.push(space.idOf(row));
  deepStrictEqual(all, model.listed(id));
  const ready: TupleId[] = [];
  for (let row = space.oldestReady(id); row >= 0; row = space.nextReady(row)) {
    ready.push(space.idOf(row));
  }
  deepStrictEqual(ready, model.listed(id, 'ready'));
  const handed = model.listed(id, 'handed').length;
  deepStrictEqual(space.counts(id), { ready: ready.length, handed });
}

function compareSessions(space: Space, model: SpaceModel): void {
  for (const session of testSessions) {
    const expected = model.known.has(session)
      ? 'known'
      : model.ended.has(session)
        ? 'ended'
        : 'unknown';
    strictEqual(space.session(session), expected);
    const home = space.home(session);
    const seen = home && {
      leaseMs: home.leaseMs,
      name: home.name,
      state: home.state,
      touched: home.touched,
    };
    deepStrictEqual(seen, model.home.get(session));
    for (const sequence of testSequences) {
      const fence = model.known.get(session)?.operations.get(sequence)?.fence ?? 0;
      strictEqual(space.fenceOf(session, sequence), fence);
      const operation = { kind: 'session', session, sequence, attempt: 2, floor: 1 };
      compareOperation(space, model, operation as SessionOperation);
      strictEqual(
        space.admit(operation as SessionOperation),
        model.admit(operation as SessionOperation),
      );
    }
    strictEqual(
      space.sessionLoad(session).operations,
      model.known.get(session)?.operations.size ?? 0,
    );
  }
  for (const requestId of testRequests) {
    for (const id of testSpaces)
      compareOperation(space, model, { kind: 'request', requestId, space: id });
  }
}

function compareOperation(space: Space, model: SpaceModel, operation: Operation): void {
  deepStrictEqual(space.result(operation), model.result(operation));
}

function compareHistory(space: Space, model: SpaceModel): void {
  const events = space.history.read(space.history.cutPlace, 1e6, 1e9);
  deepStrictEqual(events, model.events);
}

/** An observer that mirrors what it hears, to be compared with the state. */
function mirror(space: Space): { ready: Map<Row, TupleId>; present: Map<Row, string> } {
  const heard = { ready: new Map<Row, TupleId>(), present: new Map<Row, string>() };
  const text = (row: Row) =>
    `${space.idOf(row)} ${Buffer.from(space.bytesOf(row)).toString('hex')}`;
  space.observer = {
    ready: (row) => {
      if (heard.ready.has(row)) throw new Error('ready twice');
      heard.ready.set(row, space.idOf(row));
    },
    unready: (row) => {
      strictEqual(heard.ready.get(row), space.idOf(row));
      heard.ready.delete(row);
      strictEqual(heard.present.get(row), text(row));
    },
    added: (row) => {
      if (heard.present.has(row)) throw new Error('added twice');
      heard.present.set(row, text(row));
    },
    removed: (row) => {
      strictEqual(heard.present.get(row), text(row));
      heard.present.delete(row);
    },
  };
  return heard;
}

test('a space does what the model does, for every command (E1 to E9, PROTOCOL §2)', (t) => {
  const property = fc.property(choices(100), (history: Choice[]) => {
    const space = new Space({ partition: testPartition, limits });
    const model = new SpaceModel(testPartition, testLimits);
    const heard = mirror(space);
    for (const [i, choice] of history.entries()) {
      const entry = entryOf(model, choice);
      const index = (i + 1) as LogIndex;
      deepStrictEqual(space.apply(index, entry), model.apply(index, entry));
      if (choice.d % 10 === 0) compare(space, model);
      if (choice.d % 15 === 0) space.verify();
      if (choice.d % 5 === 0) space.compactSlice(10);
    }
    compare(space, model);
    space.verify();
    deepStrictEqual(
      new Set(heard.ready.values()),
      new Set(testSpaces.flatMap((s) => model.listed(s, 'ready'))),
    );
    strictEqual(heard.present.size, model.tuples.size);
  });
  fc.assert(property, { numRuns });
  t.pass();
});

test('a snapshot cut while entries go on equals the state at its index, and behaves like it', (t) => {
  const property = fc.property(
    choices(60),
    choices(60),
    choices(60),
    fc.nat({ max: 400 }),
    (before, during, after, size) => {
      const space = new Space({ partition: testPartition, limits });
      const model = new SpaceModel(testPartition, testLimits);
      const twin = new SpaceModel(testPartition, testLimits);
      const during2: { index: LogIndex; entry: ReturnType<typeof entryOf> }[] = [];
      let index = 0;
      const step = (choice: Choice) => {
        index += 1;
        const entry = entryOf(model, choice);
        deepStrictEqual(
          space.apply(index as LogIndex, entry),
          model.apply(index as LogIndex, entry),
        );
        return { index: index as LogIndex, entry };
      };
      for (const choice of before) {
        const { index: at, entry } = step(choice);
        twin.apply(at, entry);
      }
      const hash = space.stateHash();
      const cut = space.beginSnapshot();
      strictEqual(cut.appliedIndex, index);
      const chunks: Uint8Array[] = [];
      for (const choice of during) {
        during2.push(step(choice));
        const chunk = cut.next(size + 1);
        if (chunk !== undefined) chunks.push(chunk);
        space.compactSlice(50);
      }
      for (let chunk = cut.next(size + 1); chunk !== undefined; chunk = cut.next(size + 1)) {
        chunks.push(chunk);
      }
      const loaded = Space.load(chunks, limits);
      loaded.verify();
      strictEqual(loaded.stateHash(), hash);
      compare(loaded, twin);
      for (const { index: at, entry } of during2) {
        deepStrictEqual(loaded.apply(at, entry), twin.apply(at, entry));
      }
      strictEqual(loaded.stateHash(), space.stateHash());
      for (const choice of after) {
        const { index: at, entry } = step(choice);
        deepStrictEqual(loaded.apply(at, entry), twin.apply(at, entry));
      }
      compare(loaded, model);
      compare(space, model);
      space.verify();
      loaded.verify();
      strictEqual(loaded.stateHash(), space.stateHash());
    },
  );
  fc.assert(property, { numRuns: Math.ceil(numRuns / 3) });
  t.pass();
});
