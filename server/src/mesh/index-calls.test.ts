import test from 'ava';
import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import type { CoordinationItem } from '../transport/coordination-codec.ts';
import { type IndexAnswer, IndexCalls } from './index-calls.ts';

const self = 1 as NodeId;
const peer = 2 as NodeId;
const group = 3 as GroupId;

/** Calls of node 1, whose host leaves its answers to the test. */
function bench() {
  const asked: IndexAnswer[] = [];
  const said: CoordinationItem[] = [];
  const calls = new IndexCalls({
    self,
    host: { readIndex: (_group, answer) => asked.push(answer) },
    say: (_to, item) => said.push(item),
  });
  return { asked, said, calls };
}

test('an answer is for the connection that asked: a later life of the peer has the same numbers', (t) => {
  const { asked, said, calls } = bench();
  calls.connected(peer);
  calls.asked(peer, 1, group);
  calls.broken(peer);
  calls.connected(peer);
  calls.asked(peer, 1, group);
  asked[0]?.(5 as LogIndex);
  t.deepEqual(said, []);
  asked[1]?.(6 as LogIndex);
  t.deepEqual(said, [{ kind: 'index-answer', call: 1, index: 6 as LogIndex }]);
});

test('a question ends with its link, and one to a node that is not linked at once', (t) => {
  const { said, calls } = bench();
  const told: (number | undefined)[] = [];
  calls.ask(peer, group, (index) => told.push(index));
  t.deepEqual(told, [undefined]);
  calls.connected(peer);
  calls.ask(peer, group, (index) => told.push(index));
  t.is(said.length, 1);
  calls.broken(peer);
  t.deepEqual(told, [undefined, undefined]);
  calls.answered(peer, 1, 7 as LogIndex);
  t.is(told.length, 2);
});

test('an answer of another node than the one that was asked is none', (t) => {
  const { calls } = bench();
  const told: (number | undefined)[] = [];
  calls.connected(peer);
  calls.ask(peer, group, (index) => told.push(index));
  calls.answered(3 as NodeId, 1, 9 as LogIndex);
  t.deepEqual(told, []);
  calls.answered(peer, 1, 7 as LogIndex);
  t.deepEqual(told, [7]);
});
