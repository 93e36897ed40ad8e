/** One worker of the demo: takes a tile, renders it, writes its pixels; for ever. */
import { connect, metaOf, t } from '@tuplet/client';
import { renderTile } from './mandelbrot.ts';
import { sessionLeaseMs } from './settings.ts';

const [, , url = '', name = ''] = process.argv;
const client = await connect(url, { name, sessionLeaseMs });
const space = client.space('default');

for (;;) {
  const tile = await space.take(['tile', t.int, t.int]);
  const [, column, row] = tile;
  const pixels = renderTile(column, row);
  process.stdout.write(`rendered ${column} ${row}\n`);
  await space.write(['pixels', column, row, pixels, metaOf(tile)?.deliveries ?? 0]);
}
