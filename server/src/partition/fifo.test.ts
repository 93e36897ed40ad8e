import test from 'ava';
import { Fifo } from './fifo.ts';

test('what was pushed comes out in order, whatever was taken between', (t) => {
  const fifo = new Fifo<number>();
  let pushed = 0;
  let taken = 0;
  for (let round = 0; round < 5_000; round += 1) {
    for (let each = 0; each < (round * 7) % 11; each += 1) {
      pushed += 1;
      fifo.push(pushed);
    }
    for (let each = 0; each < (round * 5) % 9; each += 1) {
      const first = fifo.first();
      const item = fifo.shift();
      t.is(first, item);
      if (item === undefined) break;
      taken += 1;
      if (item !== taken) t.fail(`${item} came as number ${taken}`);
    }
    if (fifo.size !== pushed - taken) t.fail(`size ${fifo.size}`);
  }
  while (fifo.size > 0) {
    taken += 1;
    if (fifo.shift() !== taken) t.fail();
  }
  t.is(taken, pushed);
  t.is(fifo.shift(), undefined);
  t.is(fifo.first(), undefined);
});
