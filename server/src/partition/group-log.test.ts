import test from 'ava';
import { InvariantError } from '../base/assert.ts';
import type { GroupId, LogIndex, StampMs, Term } from '../base/ids.ts';
import type { LogEntry } from '../storage/entry.ts';
import { LoneGroupLog } from './group-log.ts';

const stamp = 1 as StampMs;

function logAfter(lastIndex: number): LoneGroupLog<string> {
  return new LoneGroupLog({
    group: 3 as GroupId,
    term: 7 as Term,
    lastIndex: lastIndex as LogIndex,
  });
}

test('a proposal has the next index and the term at once, and is drained once', (t) => {
  const log = logAfter(10);
  t.is(log.propose(stamp, 'a', Uint8Array.of(1)) as number, 11);
  t.is(log.propose(stamp, 'b', Uint8Array.of(2, 3)) as number, 12);
  t.is(log.lastIndex as number, 12);
  t.is(log.inFlightEntries, 2);
  t.is(log.inFlightBytes, 3);
  const drained: LogEntry[] = [];
  t.true(log.drainUnwritten(drained));
  t.deepEqual(
    drained.map(({ group, term, index }) => [group, term, index] as number[]),
    [
      [3, 7, 11],
      [3, 7, 12],
    ],
  );
  t.false(log.drainUnwritten(drained));
});

test('nothing is committed before it is written, and then each entry once, in order', (t) => {
  const log = logAfter(0);
  for (const command of ['a', 'b', 'c']) log.propose(stamp, command, Uint8Array.of(1));
  t.false(log.hasCommitted);
  t.is(log.nextCommitted(), undefined);
  log.written(2 as LogIndex);
  t.is(log.nextCommitted()?.command, 'a');
  t.true(log.hasCommitted);
  t.is(log.nextCommitted()?.command, 'b');
  t.is(log.nextCommitted(), undefined);
  t.is(log.inFlightEntries, 1);
  t.is(log.inFlightBytes, 1);
  log.written(3 as LogIndex);
  t.is(log.nextCommitted()?.command, 'c');
});

test('what was not proposed cannot be written, and what is written stays so', (t) => {
  const log = logAfter(5);
  t.throws(() => log.written(6 as LogIndex), { instanceOf: InvariantError });
  log.propose(stamp, 'a', Uint8Array.of(1));
  log.written(6 as LogIndex);
  t.throws(() => log.written(5 as LogIndex), { instanceOf: InvariantError });
});
