import test from 'ava';
import { historyOf, type Line, type OutcomeJson } from '../sim/check/history.ts';
import { belowFloors, countsOf, floors, noCounts } from './counts.ts';

const enough = { ...noCounts(), ok: 2_000, blocking: 400, unpinned: 400 };

test('a round at its floors counts', (t) => {
  t.deepEqual(belowFloors(enough, 10), []);
  t.is(floors.operations, 2_000);
});

test('a round with one operation, or one of a sort, too few fails, and so does a short one', (t) => {
  t.regex(belowFloors({ ...enough, ok: 1_999 }, 10).join(), /1999 successful operations of 2000/);
  t.regex(belowFloors({ ...enough, blocking: 399 }, 10).join(), /blocking/);
  t.regex(belowFloors({ ...enough, unpinned: 399 }, 10).join(), /unpinned/);
  t.regex(belowFloors(enough, 9.9).join(), /9\.9 s of 10/);
  t.is(belowFloors(noCounts(), 0).length, 4);
});

test('only what succeeded counts, and neither the survey nor notifications', (t) => {
  const lines: Line[] = [];
  const add = (operation: string, asked: object, outcome: OutcomeJson): void => {
    const told = { id: lines.length, process: 'c1', operation };
    lines.push({ kind: 'invoke', ...told, arguments: asked, time: 1 });
    lines.push({ kind: 'complete', ...told, outcome, result: {}, time: 2 });
  };
  add('take', { waitMs: null, pinned: false }, 'ok');
  add('take', { waitMs: null, pinned: false }, 'nothing');
  add('read', { waitMs: 5, pinned: true }, 'ok');
  add('count', { pinned: false }, 'ok');
  add('write', {}, 'unknown');
  add('survey', {}, 'ok');
  const { invoked, ok, blocking, unpinned, byKind } = countsOf(historyOf(lines));
  t.deepEqual({ invoked, ok, blocking, unpinned }, { invoked: 5, ok: 3, blocking: 2, unpinned: 2 });
  t.is(byKind.get('take nothing'), 1);
});
