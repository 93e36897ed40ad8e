import test from 'ava';
import { HandOuts } from './hand-outs.ts';

test('only the take whose receipt was not confirmed ends', (t) => {
  const ended: number[] = [];
  const handOuts = new HandOuts((operation) => ended.push(operation));
  handOuts.handed(1, [10, 11]);
  handOuts.handed(2, [20]);
  handOuts.unconfirmed([20]);
  t.deepEqual(ended, [2]);
  handOuts.unconfirmed([10, 11]);
  t.deepEqual(ended, [2, 1]);
});

test('a tuple that came back to the same client is of its newest take', (t) => {
  const ended: number[] = [];
  const handOuts = new HandOuts((operation) => ended.push(operation));
  handOuts.handed(1, [10]);
  handOuts.unconfirmed([10]);
  handOuts.handed(2, [10]);
  handOuts.unconfirmed([10]);
  t.deepEqual(ended, [1, 2]);
});

test('what is unconfirmed in the turn that hands it out ends after it stands in the history', (t) => {
  const ended: number[] = [];
  const handOuts = new HandOuts((operation) => ended.push(operation));
  handOuts.unconfirmed([10]);
  t.deepEqual(ended, []);
  handOuts.handed(1, [10]);
  t.deepEqual(ended, [1]);
});
