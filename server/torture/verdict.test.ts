import test from 'ava';
import { checkers } from '../sim/check/check.ts';
import {
  type EventJson,
  type EventKindJson,
  type FoundJson,
  historyOf,
  type Line,
} from '../sim/check/history.ts';
import { Recorder } from '../sim/check/recorder.ts';
import type { TemplateJson } from '../sim/check/values.ts';
import { judge, needsVirtualTime } from './verdict.ts';

const msNs = 1_000_000;
const anyA: TemplateJson = [{ matchers: [{ actual: 'a' }], rest: true }];
const taking = { space: 's', template: anyA, waitMs: 0, pinned: true } as const;

/** A history as the processes of a round would write it, by hand. */
class Round {
  readonly lines: Line[] = [];
  timeMs = 1_000;
  revision = 10;
  readonly recorder: Recorder = new Recorder(
    () => this.timeMs * msNs,
    (line) => this.lines.push(line),
  );
  readonly observer: number;

  constructor(observed = true) {
    const asked = { space: 's', template: null, kinds: [], observer: observed };
    this.observer = this.recorder.invoke('observer', 'notify', asked);
  }

  event(kind: EventKindJson, found: FoundJson): EventJson {
    const { id, partition, deliveries, leaseEndMs, tuple } = found;
    const revision = kind === 'WRITTEN' ? found.revision : ++this.revision;
    const event: EventJson = {
      ...{ kind, space: 's', partition, revision, position: 0, last: true, atMs: this.timeMs },
      ...{ id, tupleRevision: found.revision, deliveries, leaseEndMs, tuple, old: null },
    };
    this.recorder.event(this.observer, 'observer', event);
    return event;
  }

  write(unique: string): FoundJson {
    const tuple = ['a', `u:${unique}`];
    const call = this.recorder.invoke('c0', 'write', { space: 's', tuple });
    this.timeMs += 1;
    const written = {
      id: ++this.revision,
      partition: 1,
      revision: this.revision,
      leaseEndMs: null,
    };
    const found: FoundJson = { ...written, deliveries: 0, state: 'ready', tuple };
    this.event('WRITTEN', found);
    this.recorder.complete(call, 'ok', { written });
    this.timeMs += 1;
    return found;
  }

  /** A take that gets the tuple; its session bears a name of its own. */
  take(process: string, found: FoundJson, session: number): void {
    const call = this.recorder.invoke(process, 'take', taking);
    this.timeMs += 1;
    this.event('TAKEN', found);
    this.recorder.complete(call, 'ok', { found: [found] }, session);
  }

  /** The tuple comes back, and another process gets it. */
  again(process: string, found: FoundJson, session: number): void {
    this.timeMs += 1;
    const returned = { ...found, deliveries: found.deliveries + 1 };
    this.event('RETURNED', returned);
    this.take(process, returned, session);
  }

  /** Rest, and what the survey finds. */
  complaints(left: readonly FoundJson[] = []): readonly string[] {
    this.timeMs += 5_000;
    this.recorder.quiet();
    const call = this.recorder.invoke('judge', 'survey', { space: 's' });
    this.recorder.complete(call, 'ok', { found: left });
    this.lines.sort((one, other) => one.time - other.time);
    return [...new Set(judge(historyOf(this.lines)).map(({ checker }) => checker))];
  }
}

test('a tuple whose receipt was not confirmed before its session ended may go to another', (t) => {
  const round = new Round();
  const found = round.write('1');
  round.take('c1', found, 1_001);
  round.recorder.end('c1', 'lost', 1_001);
  round.again('c2', found, 2_001);
  t.deepEqual(round.complaints(), []);
});

test('a tuple handed to two fails where only another take of the process was unconfirmed', (t) => {
  const round = new Round();
  const found = round.write('1');
  round.take('c1', found, 1_001);
  round.recorder.end('c1', 'lost', 1_002);
  round.again('c2', found, 2_001);
  t.deepEqual(round.complaints(), ['hand-over']);
});

test('what a living client has received and is handed out again after its session fails', (t) => {
  const round = new Round();
  const found = round.write('1');
  round.take('c1', found, 1_001);
  round.again('c2', found, 2_001);
  round.timeMs += 1;
  round.recorder.end('c1', 'lost', 1_001);
  t.deepEqual(round.complaints(), ['hand-over']);
});

test('a client that receives in a session that is over fails', (t) => {
  const round = new Round();
  const found = round.write('1');
  round.recorder.end('c1', 'lost', 1_001);
  round.timeMs += 1;
  round.take('c1', found, 1_001);
  t.deepEqual(round.complaints(), ['hand-over']);
});

test('a client that stood still and was killed has lost its session from the stop on', (t) => {
  const kill = (stopped: boolean): readonly string[] => {
    const round = new Round();
    const found = round.write('1');
    round.take('c1', found, 1_001);
    if (stopped) round.recorder.fault('pause', { process: 'c1', forMs: 6_000 });
    round.timeMs += 5_500;
    round.again('c2', found, 2_001);
    round.timeMs += 500;
    round.recorder.end('c1', 'killed');
    return round.complaints();
  };
  t.deepEqual(kill(true), []);
  t.deepEqual(kill(false), ['hand-over']);
});

test('a killed client may leave calls open, a living one may not', (t) => {
  const leave = (killed: boolean): readonly string[] => {
    const round = new Round();
    round.recorder.invoke('c1', 'write', { space: 's', tuple: ['a', 'u:open'] });
    if (killed) round.recorder.end('c1', 'killed');
    return round.complaints();
  };
  t.deepEqual(leave(true), []);
  t.deepEqual(leave(false), ['waiters']);
});

test('a tuple that a client with a living session received and that is there at the end fails', (t) => {
  const round = new Round();
  const found = round.write('1');
  round.take('c1', found, 1_001);
  round.event('RETURNED', { ...found, deliveries: 1 });
  t.deepEqual(round.complaints([{ ...found, deliveries: 1 }]), ['conservation']);
});

test('an acknowledged write that a restart forgot fails', (t) => {
  const round = new Round();
  const kept = round.write('1');
  round.write('2');
  round.recorder.fault('crash', { forMs: 1_000 });
  t.deepEqual(round.complaints([kept]), ['conservation']);
});

test('"nothing" beside a tuple that stood there through a restart fails', (t) => {
  const round = new Round();
  const found = round.write('1');
  const call = round.recorder.invoke('c1', 'take', taking);
  round.recorder.fault('crash', { forMs: 1_000 });
  round.timeMs += 1_500;
  round.recorder.complete(call, 'nothing', {});
  t.deepEqual(round.complaints([found]), ['empty']);
});

test('a stream that another process resumed with a gap or a repeat fails', (t) => {
  const resume = (from: number): readonly string[] => {
    const round = new Round();
    const asked = { space: 's', template: null, kinds: ['WRITTEN'] };
    const stream = round.recorder.invoke('watcher', 'notify', asked);
    round.recorder.cursor(stream, 'watcher');
    const kept = ['1', '2', '3', '4'].map((unique) => round.write(unique));
    const events = round.lines.flatMap((line) => (line.kind === 'event' ? [line.event] : []));
    for (const event of [...events.slice(0, 2), ...events.slice(from)]) {
      round.recorder.event(stream, 'watcher', event);
    }
    return round.complaints(kept);
  };
  t.deepEqual(resume(2), []);
  t.deepEqual(resume(3), ['notify']);
  t.deepEqual(resume(1), ['notify']);
});

test('a round that nobody observed, or that never came to rest, fails', (t) => {
  t.deepEqual(new Round(false).complaints(), ['torture']);
  t.deepEqual(
    judge(historyOf(new Round().lines)).map(({ message }) => message),
    ['it never became quiet'],
  );
});

test('a late end of a wait is no violation on a busy machine', (t) => {
  const round = new Round();
  const call = round.recorder.invoke('c1', 'take', { ...taking, waitMs: 10 });
  round.timeMs += 3_000;
  round.recorder.complete(call, 'nothing', {}, 1_001);
  t.deepEqual(round.complaints(), []);
});

test('every checker that is left to the simulator exists', (t) => {
  const names = checkers.map(({ name }) => name);
  for (const name of needsVirtualTime) t.true(names.includes(name), name);
});

test('a living client that waits beside a free tuple at rest fails', (t) => {
  const round = new Round();
  round.recorder.invoke('c1', 'take', { ...taking, waitMs: null });
  round.timeMs += 1_500;
  const found = round.write('1');
  t.deepEqual(round.complaints([found]), ['waiters']);
});
