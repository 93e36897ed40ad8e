/** The producer of the demo: writes one tuple for each tile, and ends. */
import { connect } from '@tuplet/client';
import { tilesPerSide } from './mandelbrot.ts';

const [, , url = ''] = process.argv;
await using client = await connect(url, { name: 'producer' });
const space = client.space('default');
const positions = Array.from({ length: tilesPerSide }, (_, i) => i);
await Promise.all(
  positions.flatMap((row) => positions.map((column) => space.write(['tile', column, row]))),
);
