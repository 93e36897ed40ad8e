import test from 'ava';
import type { Row } from '../rounds.ts';
import { type Aim, outcomeOf } from './aims.ts';

const throughput: Aim = { workload: 'pairs-64', target: 'tuplet', beside: ['a', 'b'], ratio: 2 };
const latency: Aim = { ...throughput, workload: 'hand-off', ratio: 1 };

/** By round: ours, and those beside it; of a workload as pairs a second and as milliseconds. */
function rowsOf(workload: string, rounds: readonly (readonly [number, ...number[]])[]): Row[] {
  return rounds.flatMap((values, at) =>
    values.map((value, target) => ({
      round: at + 1,
      workload,
      target: ['tuplet', 'a', 'b'][target] ?? '',
      perSecond: value,
      p50Ms: value,
      p99Ms: 0,
      p999Ms: 0,
      maxMs: 0,
      clientCpuUs: 0,
      serverCpuUs: 0,
      nodeCpuUs: [],
    })),
  );
}

test('throughput is compared with the better of the others in the same round', (t) => {
  const outcome = outcomeOf(
    throughput,
    rowsOf('pairs-64', [
      [40, 10, 20],
      [60, 20, 10],
      [90, 10, 30],
    ]),
  );
  t.deepEqual(outcome?.ratios, [2, 3, 3]);
  t.is(outcome?.isMet, true);
});

test('latency is compared with the lower', (t) => {
  const outcome = outcomeOf(
    latency,
    rowsOf('hand-off', [
      [2, 4, 1],
      [2, 2, 4],
      [3, 3, 9],
    ]),
  );
  t.deepEqual(outcome?.ratios, [2, 1, 1]);
  t.is(outcome?.poor, 1);
  t.is(outcome?.isMet, true);
});

test('two rounds below three quarters miss an aim that the median meets', (t) => {
  const rounds = [
    [14, 10],
    [14, 10],
    [20, 10],
    [20, 10],
    [20, 10],
  ] as const;
  const outcome = outcomeOf(throughput, rowsOf('pairs-64', rounds));
  t.is(outcome?.median, 2);
  t.is(outcome?.poor, 2);
  t.is(outcome?.isMet, false);
});

test('a peer that is absent leaves the aim open', (t) => {
  t.is(outcomeOf(throughput, rowsOf('pairs-64', [[14]])), undefined);
});
