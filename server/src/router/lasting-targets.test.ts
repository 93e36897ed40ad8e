import test from 'ava';
import { any, space, template } from '../../test/router/bench.ts';
import type { SpaceId } from '../base/ids.ts';
import { keptBytesMax } from '../base/limits.ts';
import { isFailure } from './failure.ts';
import { LastingTargets } from './lasting-targets.ts';
import { RoutedSpace, type Target } from './routing.ts';

function targetOf(routed: RoutedSpace, bytes: Uint8Array): Target {
  const target = routed.lastingTarget(bytes, 'template');
  if (isFailure(target)) throw new Error(target.message);
  return target;
}

test('calls that wait with the same template share it; others do not', (t) => {
  const lasting = new LastingTargets();
  const jobs = new RoutedSpace(space, 16, lasting);
  const other = new RoutedSpace({ ...space, id: 2 as SpaceId }, 16, lasting);
  const first = targetOf(jobs, template('job', any));
  t.is(targetOf(jobs, template('job', any)), first);
  t.not(targetOf(other, template('job', any)).template, first.template);
  t.not(targetOf(jobs, template('job', 1)).template, first.template);
});

test('a shared template does not hold the message it came in, and stays as it was', (t) => {
  const jobs = new RoutedSpace(space, 16, new LastingTargets());
  const message = template('job', any);
  const { template: kept } = targetOf(jobs, message);
  const again = message.slice();
  message.fill(0);
  t.is(targetOf(jobs, again).template, kept);
});

test('of many templates each is told from the others, whatever bucket it falls into', (t) => {
  const jobs = new RoutedSpace(space, 16, new LastingTargets());
  for (let i = 0; i < 2_000; i += 1) {
    const { template: found } = targetOf(jobs, template('job', i));
    t.is(targetOf(jobs, template('job', i)).template, found);
    t.not(targetOf(jobs, template('job', i + 1)).template, found);
  }
});

test('a large template is not remembered', (t) => {
  const jobs = new RoutedSpace(space, 16, new LastingTargets());
  const large = template('x'.repeat(keptBytesMax));
  t.not(targetOf(jobs, large), targetOf(jobs, large));
});
