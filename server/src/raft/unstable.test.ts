import test from 'ava';
import fc from 'fast-check';
import { Entry, EntryKind, noBytes } from './message.ts';
import { Unstable } from './unstable.ts';

/** Entries of one term, from an index to another. */
function entries(term: number, from: number, to: number): Entry[] {
  return Array.from(
    { length: to - from + 1 },
    (_, at) => new Entry(term, from + at, EntryKind.normal, noBytes),
  );
}

const noLimit = Number.POSITIVE_INFINITY;

test('a completion for an entry that was replaced marks nothing durable', (t) => {
  const unstable = new Unstable(5);
  unstable.append(entries(2, 5, 6), 0);
  unstable.stableTo(6, 1);
  t.is(unstable.count, 2);
  unstable.stableTo(6, 2);
  t.is(unstable.count, 0);
  t.is(unstable.offset, 7);
});

test('entries that are being written are not handed out again, unless they are replaced', (t) => {
  const unstable = new Unstable(5);
  unstable.append(entries(2, 5, 8), 0);
  unstable.acceptInProgress();
  t.deepEqual(unstable.nextEntries(), []);
  unstable.append(entries(3, 7, 7), 0);
  t.deepEqual(
    unstable.nextEntries().map(({ index, term }) => [index, term]),
    [[7, 3]],
  );
  t.is(unstable.lastIndex(), 7);
});

test('entries below the durable end overrule what is durable', (t) => {
  const unstable = new Unstable(10);
  unstable.append(entries(3, 4, 5), 0);
  t.is(unstable.offset, 4);
  t.is(unstable.nextEntries().length, 2);
  t.is(unstable.term(9), 0, 'what came after them is not here');
});

test('a slice has what fits, and at least one', (t) => {
  const unstable = new Unstable(1);
  unstable.append(entries(1, 1, 9), 0);
  t.is(unstable.slice(2, 9, 0).length, 1);
  t.is(unstable.slice(2, 9, 3 * 24).length, 3);
  t.is(unstable.slice(2, 9, noLimit).length, 7);
});

test('what is handed out does not change when the log goes on', (t) => {
  const unstable = new Unstable(1);
  unstable.append(entries(1, 1, 3), 0);
  const handed = unstable.nextEntries();
  unstable.acceptInProgress();
  unstable.append(entries(2, 2, 5), 0);
  unstable.stableTo(5, 2);
  t.deepEqual(
    handed.map(({ term, index }) => [term, index]),
    [
      [1, 1],
      [1, 2],
      [1, 3],
    ],
  );
});

test('appends, hand-outs and completions leave what a plain array would have', (t) => {
  const move = fc.oneof(
    fc.record({
      kind: fc.constant('append' as const),
      back: fc.nat(4),
      count: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ kind: fc.constant('accept' as const) }),
    fc.record({ kind: fc.constant('stable' as const), back: fc.nat(3) }),
  );
  fc.assert(
    fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
      const unstable = new Unstable(1);
      // The whole log, and up to where all of it is known to be durable.
      let model: Entry[] = [];
      let stable = 0;
      let handedOut = 0;
      let term = 1;
      for (const each of moves) {
        if (each.kind === 'append') {
          const from = Math.max(1, model.length + 1 - each.back);
          term += 1;
          const added = entries(term, from, from + each.count - 1);
          model = [...model.slice(0, from - 1), ...added];
          stable = Math.min(stable, from - 1);
          handedOut = Math.min(handedOut, from - 1);
          unstable.append(added, 0);
        } else if (each.kind === 'accept') {
          t.deepEqual(unstable.nextEntries(), model.slice(handedOut));
          handedOut = model.length;
          unstable.acceptInProgress();
        } else {
          const index = Math.min(handedOut, model.length - each.back);
          const entry = model[index - 1];
          if (entry === undefined || index <= stable) continue;
          unstable.stableTo(index, entry.term);
          stable = index;
        }
        t.is(unstable.offset, stable + 1);
        t.is(unstable.count, model.length - stable);
        t.deepEqual(unstable.slice(stable + 1, model.length + 1, noLimit), model.slice(stable));
      }
    }),
  );
});
