import test from 'ava';
import { entryOf, markOf } from '../../sim/disk-world.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { batchBytes, pieces } from './batch.ts';
import type { HardState, LogBatch, LogEntry } from './entry.ts';

function sized(group: number, index: number, bytes: number): LogEntry {
  return entryOf(group, index, 1, new Uint8Array(bytes));
}

function state(group: number, commit: number, term = 7): HardState {
  return { group: group as GroupId, term: term as Term, vote: 2, commit: commit as LogIndex };
}

function indexes(batch: LogBatch): readonly string[] {
  return batch.entries.map(({ group, index }) => `${group}:${index}`);
}

test('what fits a frame is one piece, as it was given', (t) => {
  const batch = { entries: [sized(1, 1, 100), sized(2, 1, 100)], hardStates: [state(1, 1)] };
  t.is(batchBytes(batch), 124 + 124 + 24);
  t.is(pieces(batch, 272)[0], batch);
  t.is(pieces(batch, 271).length, 2);
});

test('the writes of different groups are divided before any of them is', (t) => {
  const entries = [sized(1, 1, 100), sized(2, 8, 100), sized(1, 2, 100), sized(2, 9, 100)];
  const hardStates = [state(2, 9), state(1, 2)];
  const found = pieces({ entries, hardStates }, 300);
  t.deepEqual(found.map(indexes), [
    ['1:1', '1:2'],
    ['2:8', '2:9'],
  ]);
  t.deepEqual(
    found.map((piece) => piece.hardStates),
    [[state(1, 2)], [state(2, 9)]],
  );
});

test('each part of a write that is too large has term and vote, and what of the commit index is there', (t) => {
  const entries = [5, 6, 7, 8, 9].map((index) => sized(1, index, 100));
  const record = { group: 1 as GroupId, replica: 3, state: 'living' } as const;
  const before = markOf(1, 4, 6);
  const batch = { entries, hardStates: [state(1, 8)], marks: [before], replicas: [record] };
  const found = pieces(batch, 350);
  t.deepEqual(found.map(indexes), [['1:5', '1:6'], ['1:7', '1:8'], ['1:9']]);
  t.deepEqual(
    found.map(({ hardStates }) => hardStates),
    [[state(1, 6)], [state(1, 8)], [state(1, 8)]],
  );
  t.deepEqual(
    found.map(({ marks }) => marks),
    [[before], [], []],
  );
  t.deepEqual(
    found.map(({ replicas }) => replicas),
    [[record], [], []],
  );
});

test('nothing that a later part replaces counts as committed in an earlier one', (t) => {
  const entries = [sized(1, 5, 100), sized(1, 6, 100), sized(1, 6, 100), sized(1, 7, 100)];
  const found = pieces({ entries, hardStates: [state(1, 7)] }, 300);
  t.deepEqual(
    found.map(({ hardStates }) => hardStates),
    [[state(1, 5)], [state(1, 7)]],
  );
});

test('an entry that is larger than a piece is one of its own', (t) => {
  const entries = [sized(1, 1, 10), sized(1, 2, 1000), sized(1, 3, 10)];
  t.deepEqual(pieces({ entries }, 300).map(indexes), [['1:1'], ['1:2'], ['1:3']]);
});
