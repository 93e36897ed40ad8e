import test from 'ava';
import { present } from '../base/assert.ts';
import type { GroupId, LogIndex } from '../base/ids.ts';
import { mapAgainMs, mapLookMs } from '../base/limits.ts';
import { Bench, type BenchNode } from './testing-mesh.ts';

/** Looks at the map from a node, and keeps what it is told. */
function look(at: BenchNode): boolean[] {
  const told: boolean[] = [];
  at.mesh.partitions().lookAtMap((isSeen) => told.push(isSeen));
  return told;
}

/** The oldest question that a node's host was asked is answered. */
function answer(at: BenchNode, index: number | undefined): void {
  const question = present(at.host.questions.shift(), 'the host was asked');
  question.answer(index as LogIndex | undefined);
}

test('a node that lags behind the map waits until it has what the leader has', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = look(bench.a);
  bench.turns();
  t.is(bench.b.host.questions[0]?.group, 0 as GroupId);
  answer(bench.b, 7);
  bench.turns();
  bench.a.host.map.apply(6, 'jobs');
  t.deepEqual(told, [], 'not all of it is here');
  bench.a.host.map.apply(7);
  t.deepEqual(told, [true]);
  bench.clock.advance(mapLookMs);
  t.is(bench.clock.timers, 0);
  t.deepEqual(told, [true]);
});

test('one question serves all who came before it left, and nobody who comes later', (t) => {
  const bench = new Bench();
  bench.a.host.map.lead(3);
  const first = look(bench.a);
  const second = [look(bench.a), look(bench.a)];
  t.is(bench.a.host.questions.length, 1);
  answer(bench.a, 1);
  t.deepEqual(first, [true]);
  t.deepEqual(second, [[], []], 'what the leader knew may be older than these looks');
  t.is(bench.a.host.questions.length, 1, 'they share the next question');
  answer(bench.a, 1);
  t.deepEqual(second, [[true], [true]]);
});

test('without a leader a look waits, and ends in time', (t) => {
  const bench = new Bench();
  const told = look(bench.a);
  bench.clock.advance(mapLookMs - 1);
  t.deepEqual(told, []);
  bench.clock.advance(mapAgainMs + 1);
  t.deepEqual(told, [false]);
  const late = look(bench.a);
  bench.b.host.map.lead(3);
  bench.turns();
  answer(bench.b, 1);
  bench.turns();
  t.deepEqual(late, [true]);
});

test('who did not lead, or was lost, is followed by the next leader', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = look(bench.a);
  bench.turns();
  answer(bench.b, undefined);
  bench.turns();
  t.is(bench.b.host.questions.length, 0, 'not at once');
  bench.clock.advance(mapAgainMs);
  bench.turns();
  t.is(bench.b.host.questions.length, 1);
  bench.break();
  bench.a.host.map.lead(4);
  answer(bench.a, 1);
  t.deepEqual(told, [true]);
  answer(bench.b, 9);
  bench.link();
  bench.turns();
  t.deepEqual(told, [true], 'an answer to a connection that is no more is none');
});

test('a leader that does not answer, because it no longer leads, is not waited for', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = look(bench.a);
  bench.turns();
  bench.a.host.map.lead(4);
  answer(bench.a, 1);
  t.deepEqual(told, [true]);
  answer(bench.b, 1);
  bench.turns();
  t.deepEqual(told, [true]);
});

test('an answer that comes when the time is over changes nothing', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = look(bench.a);
  bench.turns();
  bench.clock.advance(mapLookMs + mapAgainMs);
  t.deepEqual(told, [false]);
  answer(bench.b, 1);
  bench.turns();
  t.deepEqual(told, [false]);
});
