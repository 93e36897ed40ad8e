import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Line } from '../sim/check/history.ts';
import { mergeFolder, parseJournal, parseStream, type StreamEntry } from './merge.ts';

function invoke(id: number, time: number): Line {
  return { kind: 'invoke', id, process: 'c1', operation: 'count', arguments: {}, time };
}

function text(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}

test('the half line of a killed process is left out', (t) => {
  const whole = text([invoke(1, 10), invoke(2, 20)]);
  t.deepEqual(parseJournal(whole.slice(0, -1)), [invoke(1, 10)]);
  t.deepEqual(parseJournal(whole), [invoke(1, 10), invoke(2, 20)]);
  t.deepEqual(parseJournal('{"kind":"inv'), []);
});

test('half an entry of a stream is left out with its position, what the next process wrote is not', (t) => {
  const entry = (id: number): StreamEntry => ({
    lines: [invoke(id, id)],
    position: { cursor: 'AA==', seen: [{ partition: 1, revision: id, position: 0 }] },
  });
  const first = text([entry(1)]);
  const half = text([entry(2)]);
  for (let cut = 0; cut < half.length; cut++) {
    const after = `${first}${half.slice(0, cut)}\n${text([entry(3)])}`;
    const expected = cut === half.length - 1 ? [1, 2, 3] : [1, 3];
    t.deepEqual(
      parseStream(after).map(({ position }) => position?.seen[0]?.revision),
      expected,
      `cut at ${cut}`,
    );
  }
});

test('files are merged in order of time, and one file keeps its order', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tuplet-merge-'));
  try {
    writeFileSync(join(folder, 'c1.lines'), text([invoke(1, 10), invoke(2, 30), invoke(3, 30)]));
    writeFileSync(join(folder, 'c2.lines'), text([invoke(4, 20)]));
    const entry: StreamEntry = { lines: [invoke(5, 15), invoke(6, 25)], position: null };
    writeFileSync(join(folder, 's.stream'), text([entry]));
    const lines = mergeFolder(folder, [{ kind: 'quiet', time: 40 }]);
    t.deepEqual(
      lines.map((line) => ('id' in line ? line.id : 0)),
      [1, 5, 4, 6, 2, 3, 0],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
