import test from 'ava';
import { configurationOf } from './configuration.ts';
import { MemoryStorage } from './memory-storage.ts';
import { Entry, EntryKind, noBytes, type Snapshot } from './message.ts';

const snapshotAt = (index: number): Snapshot => ({
  index,
  term: 1,
  configuration: configurationOf([1, 2, 3]),
  payload: noBytes,
});

const entriesTo = (last: number): Entry[] =>
  Array.from({ length: last }, (_, at) => new Entry(1, at + 1, EntryKind.normal, noBytes));

/** With entries 1 to 10, of which a follower wanted those up to 5 in a snapshot. */
function wanting(): MemoryStorage {
  const storage = new MemoryStorage();
  storage.append(entriesTo(10));
  storage.trim(5);
  return storage;
}

test('a snapshot that was asked for is wanted until one of one’s own is cut', (t) => {
  const storage = wanting();
  t.false(storage.isSnapshotWanted);
  t.is(storage.snapshot(), null);
  t.true(storage.isSnapshotWanted);
  storage.compact(snapshotAt(8));
  t.false(storage.isSnapshotWanted);
  t.is(storage.snapshot()?.index, 8);
});

test('one from a leader is what was wanted as well', (t) => {
  const storage = wanting();
  storage.snapshot();
  storage.install(snapshotAt(20));
  t.false(storage.isSnapshotWanted);
  t.is(storage.snapshot()?.index, 20);
});

test('one that comes late is none: another is still to be cut', (t) => {
  const storage = wanting();
  storage.compact(snapshotAt(5));
  storage.trim(8);
  t.is(storage.snapshot(), null);
  storage.compact(snapshotAt(5));
  t.true(storage.isSnapshotWanted);
  storage.compact(snapshotAt(10));
  t.false(storage.isSnapshotWanted);
});
