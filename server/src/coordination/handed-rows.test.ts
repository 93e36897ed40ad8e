import test from 'ava';
import type { SpaceId } from '../base/ids.ts';
import { HandedRows } from './handed-rows.ts';
import type { RowNumber, SpaceView } from './ports.ts';

test('a slot of 200,000 tuples handed over is listed, oldest first', (t) => {
  const view = {
    rows: { space: () => 1, slot: () => 7 },
    idOf: (row: number) => 200_000 - row,
  } as unknown as SpaceView;
  const handed = new HandedRows(view);
  for (let row = 0; row < 200_000; row += 1) handed.add(row as RowNumber);
  const rows = handed.ofSpace(1 as SpaceId);
  t.is(rows.length, 200_000);
  t.is(rows[0], 199_999 as RowNumber);
  t.is(rows.at(-1), 0 as RowNumber);
});
