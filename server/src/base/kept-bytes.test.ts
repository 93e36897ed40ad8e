import test from 'ava';
import { KeptBytes } from './kept-bytes.ts';
import { keptBytesMax, keptChunkBytes } from './limits.ts';

test('small copies share a chunk, stay as they were, and do not hold what they were copied from', (t) => {
  const kept = new KeptBytes();
  const source = new Uint8Array(40);
  const runs = Array.from({ length: 100 }, (_, i) => {
    source.fill(i);
    return kept.keep(source);
  });
  source.fill(255);
  for (const [i, { bytes, start, end }] of runs.entries()) {
    t.deepEqual(bytes.slice(start, end), new Uint8Array(40).fill(i));
    t.is(bytes.length, keptChunkBytes);
  }
  t.is(
    new Set(runs.map(({ bytes }) => bytes)).size,
    Math.ceil(100 / Math.floor(keptChunkBytes / 40)),
  );
});

test('a large one lies alone, and so neither fills nor holds a chunk', (t) => {
  const kept = new KeptBytes();
  const large = kept.keep(new Uint8Array(keptBytesMax + 1).fill(7));
  t.is(large.bytes.length, keptBytesMax + 1);
  t.deepEqual([large.start, large.end], [0, keptBytesMax + 1]);
});
