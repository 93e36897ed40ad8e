import test from 'ava';
import type { SpaceId } from '../base/ids.ts';
import { HandedRows } from './handed-rows.ts';
import type { RowNumber, SpaceView } from './ports.ts';

test('a slot of 1,000,000 tuples handed over is listed, oldest first', (t) => {
  const view = {
    rows: { space: () => 1, slot: () => 7 },
    idOf: (row: number) => 1_000_000 - row,
  } as unknown as SpaceView;
  const handed = new HandedRows(view);
  for (let row = 0; row < 1_000_000; row += 1) handed.add(row as RowNumber);
  const rows = handed.ofSpace(1 as SpaceId);
  t.is(rows.length, 1_000_000);
  t.is(rows[0], 999_999 as RowNumber);
  t.is(rows.at(-1), 0 as RowNumber);
});
