import test, { type ExecutionContext } from 'ava';
import { HandClock } from '../../test/router/bench.ts';
import { mapAgainMs, mapCallMs, mapCallsMax, mapSeenMs } from '../base/limits.ts';
import type { MapOutcome, MapProblem, SpaceSettings } from '../cluster/map-command.ts';
import { MapCalls } from './map-calls.ts';
import { Bench, type BenchNode, created, FakeMap, two } from './testing-mesh.ts';

const settings: SpaceSettings = { rules: [], like: undefined, tupleBytesMax: 1_000 };

/** Creates a space at a node, and keeps what it is told. */
function create(at: BenchNode, name: string): MapOutcome[] {
  const told: MapOutcome[] = [];
  at.mesh.map().createSpace(name, settings, (outcome) => told.push(outcome));
  return told;
}

function drop(at: BenchNode, name: string): MapOutcome[] {
  const told: MapOutcome[] = [];
  at.mesh.map().dropSpace(name, (outcome) => told.push(outcome));
  return told;
}

function refusal(reason: MapProblem['reason']): MapOutcome {
  return { kind: 'refused', problem: { reason, field: '', message: 'no' } };
}

/** What was told is one refusal with this reason. */
function isRefused(t: ExecutionContext, told: readonly MapOutcome[], reason: string): void {
  t.deepEqual(
    told.map((outcome) => (outcome.kind === 'refused' ? outcome.problem.reason : outcome.kind)),
    [reason],
  );
}

test('a space is created and dropped at a node that does not lead the map', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = create(bench.a, 'jobs');
  bench.turns();
  t.deepEqual(bench.a.host.map.asked, []);
  t.deepEqual(
    bench.b.host.map.asked.map(({ command }) => command),
    [{ kind: 'create-space', name: 'jobs', settings }],
  );
  bench.a.host.map.apply(2, 'jobs');
  const made = created('jobs', 2);
  bench.b.host.map.answer(made);
  bench.turns();
  t.deepEqual(told, [made]);
  const gone = drop(bench.a, 'jobs');
  bench.turns();
  t.deepEqual(bench.b.host.map.asked[0]?.command, { kind: 'drop-space', name: 'jobs' });
  bench.b.host.map.answer({ ...made, kind: 'dropped' } as MapOutcome);
  bench.turns();
  t.is(gone[0]?.kind, 'dropped');
  t.is(bench.clock.timers, 0);
});

test('where the map is led here nobody else is asked', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.a.host.map.lead(4);
  bench.turns();
  const told = create(bench.a, 'jobs');
  bench.a.host.map.apply(2, 'jobs');
  bench.a.host.map.answer(created('jobs', 2));
  t.deepEqual(told, [created('jobs', 2)]);
  bench.turns();
  t.deepEqual(bench.b.host.map.asked, []);
  const there = create(bench.b, 'more');
  bench.turns();
  t.is(bench.a.host.map.asked.length, 1, 'and the other node asks here');
  t.deepEqual(there, []);
});

test('a node that connects is told who leads the map, and a call waits for that', (t) => {
  const bench = new Bench();
  bench.break();
  bench.b.host.map.lead(3);
  create(bench.a, 'jobs');
  bench.turns();
  t.is(bench.b.host.map.asked.length, 0);
  bench.link();
  t.is(bench.b.host.map.asked.length, 1);
});

test('a node that leads the map before it has a mesh is its leader', (t) => {
  const map = new FakeMap();
  map.lead(3);
  const clock = new HandClock();
  const calls = new MapCalls({ self: two, clock, map, say: () => t.fail('nobody is asked') });
  calls.createSpace('jobs', settings, () => undefined);
  t.is(map.asked.length, 1);
});

test('without a leader a call waits, and after a time it surely did not happen', (t) => {
  const bench = new Bench();
  const told = create(bench.a, 'jobs');
  bench.clock.advance(mapCallMs - 1);
  t.deepEqual(told, []);
  bench.clock.advance(1);
  isRefused(t, told, 'NO_LEADER');
  bench.b.host.map.lead(3);
  bench.turns();
  t.deepEqual(bench.b.host.map.asked, [], 'it is over');
});

for (const reason of ['NO_LEADER', 'SHUTTING_DOWN'] as const) {
  test(`a node that refuses with ${reason} did nothing: the next leader is asked`, (t) => {
    const bench = new Bench();
    bench.b.host.map.lead(3);
    bench.turns();
    const told = create(bench.a, 'jobs');
    bench.turns();
    bench.b.host.map.answer(refusal(reason));
    bench.turns();
    t.deepEqual(told, []);
    bench.a.host.map.lead(4);
    t.is(bench.a.host.map.asked.length, 1);
    bench.a.host.map.answer(refusal('NO_LEADER'));
    t.deepEqual(told, []);
    bench.clock.advance(mapAgainMs);
    t.is(bench.a.host.map.asked.length, 1, 'the same one is asked again after a while');
    bench.clock.advance(mapCallMs);
    isRefused(t, told, 'OUTCOME_UNKNOWN');
    bench.a.host.map.answer(created('jobs', 2));
    t.is(told.length, 1);
  });
}

test('any other refusal is the answer', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = create(bench.a, 'jobs');
  bench.turns();
  bench.b.host.map.answer(refusal('SPACES_EXHAUSTED'));
  bench.turns();
  isRefused(t, told, 'SPACES_EXHAUSTED');
});

test('a link breaks: what was sent may have happened, and what comes late is for nobody', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = create(bench.a, 'jobs');
  bench.turns();
  bench.break();
  isRefused(t, told, 'OUTCOME_UNKNOWN');
  const waiting = create(bench.a, 'more');
  bench.turns();
  t.deepEqual(waiting, [], 'nobody leads whom this node can reach');
  bench.link();
  t.is(bench.b.host.map.asked.length, 2);
  const later = bench.b.frames.length;
  bench.b.host.map.answer(created('jobs', 2));
  bench.clock.turn();
  t.is(bench.b.frames.length, later, 'the connection that asked is gone');
  bench.a.host.map.apply(3);
  bench.b.host.map.answer(created('more', 3));
  bench.turns();
  t.deepEqual(waiting, [created('more', 3)]);
  t.is(told.length, 1);
});

test('a leader that does not answer may have done it', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = drop(bench.a, 'jobs');
  bench.turns();
  bench.clock.advance(mapCallMs);
  isRefused(t, told, 'OUTCOME_UNKNOWN');
  t.is(bench.clock.timers, 0);
});

test('an older leadership that is told late is none, and an answer counts from whom was asked', (t) => {
  const bench = new Bench();
  bench.a.host.map.lead(4);
  bench.b.host.map.lead(3);
  bench.turns();
  const told = create(bench.a, 'jobs');
  bench.turns();
  t.is(bench.a.host.map.asked.length, 1);
  t.is(bench.b.host.map.asked.length, 0);
  bench.a.mesh.map().answered(two, 1, { ...created('jobs', 1) } as never);
  t.deepEqual(told, []);
});

test('who created a space is told when its own node knows it, or after a while', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const { map } = bench.a.host;
  const told = create(bench.a, 'jobs');
  bench.turns();
  bench.b.host.map.answer(created('jobs', 3));
  bench.turns();
  t.deepEqual(told, []);
  map.apply(2, 'other');
  t.deepEqual(told, []);
  map.apply(3, 'jobs');
  t.deepEqual(told, [created('jobs', 3)]);
  t.is(map.observers, 1, 'the mesh itself');
  t.is(bench.clock.timers, 0);

  const late = drop(bench.a, 'jobs');
  bench.turns();
  bench.b.host.map.answer({ ...created('jobs', 4), kind: 'dropped' } as MapOutcome);
  bench.turns();
  bench.clock.advance(mapSeenMs - 1);
  t.deepEqual(late, []);
  bench.clock.advance(1);
  t.is(late[0]?.kind, 'dropped');
  map.apply(4);
  t.is(late.length, 1);
  t.is(map.observers, 1, 'the mesh itself');
});

test('who finds that a space exists is told when its own node knows it', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  const told = create(bench.a, 'jobs');
  bench.turns();
  bench.b.host.map.answer(refusal('SPACE_EXISTS'));
  bench.turns();
  t.deepEqual(told, []);
  bench.a.host.map.apply(2, 'jobs');
  isRefused(t, told, 'SPACE_EXISTS');
});

test('names and settings that cannot be go to no other node', (t) => {
  const bench = new Bench();
  bench.b.host.map.lead(3);
  bench.turns();
  isRefused(t, create(bench.a, 'not so'), 'SPACE_NAME');
  isRefused(t, drop(bench.a, 'x'.repeat(5_000_000)), 'SPACE_NOT_FOUND');
  const told: MapOutcome[] = [];
  const wrong = { ...settings, tupleBytesMax: 0 };
  bench.a.mesh.map().createSpace('jobs', wrong, (outcome) => told.push(outcome));
  isRefused(t, told, 'VALUE_OUT_OF_RANGE');
  t.is(bench.turns(), 0);
});

test('changes under way are bounded', (t) => {
  const bench = new Bench();
  const told = Array.from({ length: mapCallsMax }, () => create(bench.a, 'jobs'));
  isRefused(t, create(bench.a, 'jobs'), 'TOO_MANY_IN_FLIGHT');
  bench.b.host.map.lead(3);
  bench.turns();
  t.is(bench.b.host.map.asked.length, mapCallsMax);
  isRefused(t, create(bench.a, 'jobs'), 'TOO_MANY_IN_FLIGHT');
  bench.b.host.map.answer(refusal('SPACES_EXHAUSTED'));
  bench.turns();
  t.is(told.filter((each) => each.length === 1).length, 1);
  t.deepEqual(create(bench.a, 'jobs'), []);
});

test('a node that leaves ends what waits, and in the end all', (t) => {
  const bench = new Bench();
  const waiting = create(bench.a, 'jobs');
  bench.a.mesh.leave();
  isRefused(t, waiting, 'SHUTTING_DOWN');
  isRefused(t, create(bench.a, 'jobs'), 'SHUTTING_DOWN');
  bench.a.host.map.lead(3);
  bench.turns();
  const sent = [create(bench.b, 'one'), create(bench.b, 'two')];
  bench.turns();
  bench.b.mesh.leave();
  bench.a.host.map.answer(refusal('NO_LEADER'));
  bench.turns();
  isRefused(t, sent[0] ?? [], 'NO_LEADER');
  bench.b.mesh.close();
  isRefused(t, sent[1] ?? [], 'OUTCOME_UNKNOWN');
  t.is(bench.clock.timers, 0);
});
