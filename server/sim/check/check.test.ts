import test from 'ava';
import { checkers, checkLines } from './check.ts';
import {
  type EventJson,
  type EventKindJson,
  type FoundJson,
  type Line,
  parseLines,
  type WrittenJson,
} from './history.ts';
import { Recorder } from './recorder.ts';
import type { TemplateJson, TupleJson } from './values.ts';

const msNs = 1_000_000;

function any(tag: string): TemplateJson {
  return [{ matchers: [{ actual: tag }, { any: true }], rest: true }];
}

/** A history by hand: each call moves the clock, a small space answers as it should. */
class Story {
  readonly lines: Line[] = [];
  nowMs = 1000;
  revision = 10;
  readonly recorder = new Recorder(
    () => this.nowMs * msNs,
    (line) => this.lines.push(line),
  );
  readonly observer = this.recorder.invoke('observer', 'notify', {
    space: 's',
    template: null,
    kinds: [],
    observer: true,
  });

  at(ms: number): this {
    this.nowMs = ms;
    return this;
  }

  /** A committed event of partition 1. */
  event(kind: EventKindJson, found: FoundJson, more: Partial<EventJson> = {}): EventJson {
    const event: EventJson = {
      kind,
      space: 's',
      partition: 1,
      revision: kind === 'WRITTEN' ? found.revision : ++this.revision,
      position: 0,
      last: true,
      atMs: this.nowMs,
      id: found.id,
      tupleRevision: found.revision,
      deliveries: found.deliveries,
      leaseEndMs: found.leaseEndMs,
      tuple: found.tuple,
      old: null,
      ...more,
    };
    this.recorder.event(this.observer, 'observer', event);
    return event;
  }

  invoke(process: string, operation: string, asked: object): number {
    return this.recorder.invoke(process, operation, { space: 's', ...asked });
  }

  /** A whole write of 10 ms, acknowledged. */
  write(unique: string, more: { leaseMs?: number; tag?: string; event?: boolean } = {}): FoundJson {
    const tuple: TupleJson = [more.tag ?? 'a', `u:${unique}`];
    const lease = more.leaseMs === undefined ? {} : { leaseMs: more.leaseMs };
    const id = this.invoke('w', 'write', { tuple, ...lease });
    this.nowMs += 5;
    const revision = ++this.revision;
    const leaseEndMs = more.leaseMs === undefined ? null : this.nowMs + more.leaseMs;
    const written: WrittenJson = { id: 100 + revision, partition: 1, revision, leaseEndMs };
    const found: FoundJson = { ...written, deliveries: 0, state: 'ready', tuple };
    if (more.event !== false) this.event('WRITTEN', found);
    this.nowMs += 5;
    this.recorder.complete(id, 'ok', { written });
    return found;
  }

  /** A whole take of 10 ms that gets the tuple. */
  take(process: string, found: FoundJson, asked: object = {}): number {
    const id = this.invoke(process, 'take', {
      template: any('a'),
      waitMs: 0,
      pinned: true,
      ...asked,
    });
    this.nowMs += 5;
    this.event('TAKEN', found);
    this.nowMs += 5;
    this.recorder.complete(id, 'ok', { found: [found] });
    return id;
  }

  /** A whole call of 10 ms. */
  call(
    process: string,
    operation: string,
    asked: object,
    outcome: 'ok' | 'nothing',
    result = {},
  ): void {
    const id = this.invoke(process, operation, asked);
    this.nowMs += 10;
    this.recorder.complete(id, outcome, result);
  }

  rest(found: readonly FoundJson[] = []): this {
    this.nowMs += 10_000;
    this.recorder.quiet();
    this.call('judge', 'survey', {}, 'ok', { found });
    return this;
  }

  /** The names of the checkers that complain. */
  get complaints(): readonly string[] {
    return [...new Set(checkLines(this.lines).map((violation) => violation.checker))];
  }
}

const read = { template: any('a'), waitMs: 0, pinned: true };

test('a history without a mistake passes every checker', (t) => {
  const story = new Story();
  const first = story.write('1');
  const second = story.write('2');
  story.call('r', 'read', read, 'ok', { found: [first] });
  story.take('c1', first);
  story.call('r', 'count', { template: any('a'), pinned: true }, 'ok', { count: 1 });
  story.take('c2', second);
  story.call('r', 'read', read, 'nothing');
  const third = story.write('3', { tag: 'b' });
  t.deepEqual(checkLines(story.rest([third]).lines), []);
});

test('an acknowledged write that is nowhere is lost', (t) => {
  const story = new Story();
  story.write('1');
  t.deepEqual(story.rest([]).complaints, ['conservation']);
});

test('a tuple that two applications received fails, unless the earlier session had ended', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.take('c1', found);
  story.event('RETURNED', { ...found, deliveries: 1 });
  story.take('c2', { ...found, deliveries: 1 });
  t.deepEqual(story.complaints, ['hand-over']);

  const fair = new Story();
  const again = fair.write('1');
  fair.take('c1', again);
  fair.recorder.end('c1', 'killed');
  fair.event('RETURNED', { ...again, deliveries: 1 });
  fair.take('c2', { ...again, deliveries: 1 });
  t.deepEqual(fair.complaints, []);
});

test('a process that receives after the end of its session fails', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.recorder.end('c1', 'lost');
  story.nowMs += 1;
  story.take('c1', found);
  t.deepEqual(story.complaints, ['hand-over']);
});

test('a session given up after a pause counts as ended from the pause on', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.take('c1', found);
  story.recorder.fault('pause', { process: 'c1', forMs: 20_000 });
  story.nowMs += 15_000;
  story.event('RETURNED', { ...found, deliveries: 1 });
  story.take('c2', { ...found, deliveries: 1 });
  story.nowMs += 5000;
  t.deepEqual(story.complaints, ['hand-over']);
  story.recorder.end('c1', 'lost');
  t.deepEqual(story.complaints, []);
});

test('a tuple that was received and is still there fails', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.take('c1', found);
  t.true(story.rest([found]).complaints.includes('conservation'));
});

test('a tuple that stays handed over at rest fails', (t) => {
  const story = new Story();
  const found = story.write('1');
  t.deepEqual(story.rest([{ ...found, state: 'handed' }]).complaints, ['conservation']);
});

test('a tuple with two ids was written twice', (t) => {
  const story = new Story();
  const found = story.write('1');
  const twin = { ...found, id: 7, revision: 12 };
  story.event('WRITTEN', twin);
  t.deepEqual(story.rest([found, twin]).complaints, ['conservation', 'linearizable']);
});

test('a tuple that nobody wrote, or whose write was refused, fails', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.call('r', 'read', read, 'ok', { found: [{ ...found, id: 9, tuple: ['a', 'u:x'] }] });
  t.true(story.complaints.includes('conservation'));
});

test('an acknowledged write that the committed history lacks fails', (t) => {
  const story = new Story();
  const found = story.write('1', { event: false });
  t.deepEqual(story.rest([found]).complaints, ['linearizable']);
});

test('a read of a tuple that was removed before it began fails', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.take('c1', found);
  story.call('r', 'read', read, 'ok', { found: [found] });
  t.deepEqual(story.complaints, ['linearizable']);
});

test('revisions against the order of time fail', (t) => {
  const story = new Story();
  story.revision = 20;
  const late = story.write('1');
  story.revision = 10;
  const early = story.write('2');
  t.deepEqual(story.rest([late, early]).complaints, ['linearizable', 'stamps']);
});

test('a tuple taken twice without being given back fails', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.take('c1', found);
  story.recorder.end('c1', 'killed');
  story.take('c2', { ...found, deliveries: 1 });
  t.deepEqual(story.complaints, ['committed']);
});

test('a tuple given back with the wrong count of deliveries fails', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.take('c1', found);
  story.recorder.end('c1', 'killed');
  story.event('RETURNED', { ...found, deliveries: 0 });
  t.deepEqual(story.complaints, ['committed']);
});

test('"nothing" fails where a match was there all the time, and only there', (t) => {
  const story = new Story();
  const found = story.write('1');
  story.call('r', 'read', read, 'nothing');
  t.deepEqual(story.complaints, ['empty']);
  const racing = new Story();
  const call = racing.invoke('r', 'take', read);
  racing.write('1');
  racing.recorder.complete(call, 'nothing', {});
  t.deepEqual(racing.complaints, []);
  t.is(found.deliveries, 0);
});

test('a take of several that says nothing fails where as many were there', (t) => {
  const story = new Story();
  story.write('1');
  const asked = { ...read, max: 5, min: 2 };
  story.call('r', 'take-many', asked, 'nothing');
  t.deepEqual(story.complaints, []);
  story.write('2');
  story.call('r', 'take-many', asked, 'nothing');
  t.deepEqual(story.complaints, ['empty']);
});

test('a count that there never was fails', (t) => {
  const story = new Story();
  story.write('1');
  story.call('r', 'count', { template: null, pinned: false }, 'ok', { count: 1 });
  t.deepEqual(story.complaints, []);
  story.call('r', 'count', { template: any('a'), pinned: true }, 'ok', { count: 2 });
  t.deepEqual(story.complaints, ['empty']);
});

test('a second write-if-absent fails, and so does one refused for no reason', (t) => {
  const story = new Story();
  const written = story.write('1');
  const lone = story.write('2');
  story.lines.pop();
  const invoked = story.lines.findLast((line) => line.kind === 'invoke');
  t.is(invoked?.kind, 'invoke');
  if (invoked?.kind !== 'invoke') return;
  Object.assign(invoked, { operation: 'write-if-absent' });
  Object.assign(invoked.arguments, { absent: any('a') });
  story.recorder.complete(invoked.id, 'ok', {});
  story.lines.push({
    kind: 'complete',
    id: invoked.id,
    process: 'w',
    operation: 'write-if-absent',
    outcome: 'ok',
    result: { written: { id: lone.id, partition: 1, revision: lone.revision, leaseEndMs: null } },
    time: story.nowMs * msNs,
  });
  t.deepEqual(story.rest([written, lone]).complaints, ['empty']);
  const refused = new Story();
  refused.call('w', 'write-if-absent', { tuple: ['a', 'u:9'], absent: any('a') }, 'nothing');
  refused.write('1', { tag: 'b' });
  t.deepEqual(refused.complaints, ['empty']);
});

test('a write-if-absent beside a tuple that its taker does not have yet fails', (t) => {
  const complaintsOf = (order: 'written first' | 'received first'): readonly string[] => {
    const story = new Story();
    const held = story.write('1');
    const take = story.invoke('c1', 'take', { template: any('a'), waitMs: 0, pinned: true });
    story.event('TAKEN', held);
    story.nowMs += 5;
    const receive = (): void => story.recorder.complete(take, 'ok', { found: [held] });
    if (order === 'received first') receive();
    story.nowMs += 5;
    const found: FoundJson = { ...held, id: 500, revision: ++story.revision, tuple: ['a', 'u:2'] };
    const id = story.invoke('w', 'write-if-absent', { tuple: found.tuple, absent: any('a') });
    story.event('WRITTEN', found);
    story.nowMs += 5;
    const { partition, revision, leaseEndMs } = found;
    const written: WrittenJson = { id: found.id, partition, revision, leaseEndMs };
    story.recorder.complete(id, 'ok', { written });
    story.nowMs += 5;
    if (order === 'written first') receive();
    return story.complaints;
  };
  t.deepEqual(complaintsOf('received first'), []);
  t.deepEqual(complaintsOf('written first'), ['empty']);
});

test('two reads of many must fit one instant', (t) => {
  const story = new Story();
  const first = story.write('1');
  const call = story.invoke('r', 'read-many', { ...read, max: 9, min: 1 });
  story.take('c1', first);
  const second = story.write('2');
  story.recorder.complete(call, 'ok', { found: [first, second] });
  t.deepEqual(story.complaints, ['linearizable']);
});

test('increments that are lost or happen twice fail', (t) => {
  const counter = (revision: number, value: number): FoundJson => ({
    id: 5,
    partition: 1,
    revision,
    deliveries: 0,
    leaseEndMs: null,
    state: 'ready',
    tuple: ['n', 'u:n', value],
  });
  const complaintsOf = (values: readonly number[], unknown = 0): readonly string[] => {
    const story = new Story();
    const asked = { template: any('n'), field: 2, delta: 1 };
    for (let each = 0; each < unknown; each++) story.invoke('c', 'increment', asked);
    for (const [at, value] of values.entries()) {
      story.call('c', 'increment', asked, 'ok', { found: [counter(20 + at, value)] });
    }
    return story.complaints.filter((name) => name === 'increments');
  };
  t.deepEqual(complaintsOf([1, 2, 3]), []);
  t.deepEqual(complaintsOf([1, 2, 2]), ['increments']);
  t.deepEqual(complaintsOf([1, 2, 4]), ['increments']);
  t.deepEqual(complaintsOf([1, 2, 4], 1), []);
  t.deepEqual(complaintsOf([1, 2, 5], 1), ['increments']);
});

test('a tuple that is given after its lease fails', (t) => {
  const story = new Story();
  const found = story.write('1', { leaseMs: 1000 });
  story.nowMs += 900;
  story.call('r', 'read', read, 'ok', { found: [found] });
  t.deepEqual(story.complaints, []);
  story.nowMs += 500;
  story.call('r', 'read', read, 'ok', { found: [found] });
  t.true(story.complaints.includes('leases'));
});

test('an expiry before the end of the lease fails', (t) => {
  const story = new Story();
  const found = story.write('1', { leaseMs: 1000 });
  story.nowMs += 500;
  story.event('EXPIRED', found);
  t.deepEqual(story.complaints, ['leases']);
});

test('a tuple that is still there long after its lease fails', (t) => {
  const story = new Story();
  const found = story.write('1', { leaseMs: 1000 });
  t.deepEqual(story.rest([found]).complaints, ['leases']);
});

test('a stamp that falls fails', (t) => {
  const story = new Story();
  story.write('1');
  const second = story.write('2', { event: false });
  story.event('WRITTEN', second, { atMs: 500 });
  t.true(story.complaints.includes('stamps'));
});

test('a stream with a gap, a repeat, a foreign event or a wrong one fails', (t) => {
  const complaintsOf = (change: (events: EventJson[]) => EventJson[]): readonly string[] => {
    const story = new Story();
    const stream = story.invoke('n', 'notify', { template: any('a'), kinds: ['WRITTEN'] });
    story.recorder.cursor(stream, 'n');
    const kept: FoundJson[] = [];
    for (const unique of ['1', '2', '3', '4']) kept.push(story.write(unique));
    kept.push(story.write('5', { tag: 'b' }));
    const events = story.lines.flatMap((line) => (line.kind === 'event' ? [line.event] : []));
    for (const event of change(events.slice(0, 4))) story.recorder.event(stream, 'n', event);
    return story.rest(kept).complaints;
  };
  t.deepEqual(
    complaintsOf((events) => events),
    [],
  );
  t.deepEqual(
    complaintsOf((events) => events.filter((_, at) => at !== 1)),
    ['notify'],
  );
  t.deepEqual(
    complaintsOf((events) => events.slice(1)),
    ['notify'],
  );
  t.deepEqual(
    complaintsOf((events) => events.slice(0, 3)),
    ['notify'],
  );
  t.deepEqual(
    complaintsOf((events) => [...events, ...events.slice(3)]),
    ['notify'],
  );
  t.deepEqual(
    complaintsOf((events) => [...events].reverse()),
    ['notify'],
  );
  t.deepEqual(
    complaintsOf((events) => events.map((event) => ({ ...event, deliveries: 3 }))),
    ['notify'],
  );
});

test('a living waiter beside a free match at rest fails', (t) => {
  const story = new Story();
  const call = story.invoke('c1', 'take', { template: any('a'), waitMs: null, pinned: true });
  const found = story.write('1');
  story.rest([found]);
  t.deepEqual(story.complaints, ['waiters', 'starved']);
  t.true(call > 0);
  story.recorder.end('c1', 'killed');
  t.deepEqual(story.complaints, []);
});

test('a call that waits beside a free tuple for long fails, unless something disturbs it', (t) => {
  const complaintsOf = (waitedMs: number, disturbed: boolean): readonly string[] => {
    const story = new Story();
    const found = story.write('1');
    const take = story.invoke('c1', 'take', { template: any('a'), waitMs: null, pinned: true });
    if (disturbed) story.recorder.fault('connection stalled', { process: 'c1', forMs: 60_000 });
    story.nowMs += waitedMs;
    story.event('TAKEN', found);
    story.nowMs += 5;
    story.recorder.complete(take, 'ok', { found: [found] });
    return story.rest([]).complaints;
  };
  t.deepEqual(complaintsOf(500, false), []);
  t.deepEqual(complaintsOf(30_000, false), ['starved']);
  t.deepEqual(complaintsOf(30_000, true), []);
});

test('an operation that is never answered fails', (t) => {
  const story = new Story();
  story.invoke('c1', 'write', { tuple: ['a', 'u:1'] });
  t.deepEqual(story.rest([]).complaints, ['waiters']);
});

test('a wait that is answered too late fails, unless something disturbed it', (t) => {
  const story = new Story();
  const call = story.invoke('c1', 'read', { ...read, waitMs: 100 });
  story.nowMs += 1000;
  story.recorder.complete(call, 'nothing', {});
  story.rest([]);
  t.deepEqual(story.complaints, ['wait-ends']);
  story.at(1050).recorder.fault('stall', { forMs: 500 });
  t.deepEqual(story.complaints, []);
});

test('a waiter served before an older one of the same template fails', (t) => {
  const story = new Story();
  const older = story.invoke('c1', 'take', { ...read, waitMs: null });
  story.nowMs += 1000;
  const younger = story.invoke('c2', 'take', { ...read, waitMs: null });
  story.nowMs += 1000;
  const first = story.write('1');
  const second = story.write('2');
  story.event('TAKEN', first);
  story.event('TAKEN', second);
  story.recorder.complete(younger, 'ok', { found: [first] });
  story.recorder.complete(older, 'ok', { found: [second] });
  t.deepEqual(story.complaints, ['first-come']);
});

test('a history that nobody observed is judged by its answers alone', (t) => {
  const story = new Story();
  const found = story.write('1', { event: false });
  const unseen = story.lines.filter((line) => !('process' in line) || line.process !== 'observer');
  t.deepEqual(checkLines(unseen), []);
  story.take('c1', found);
  story.take('c2', found);
  const doubled = story.lines.filter((line) => !('process' in line) || line.process !== 'observer');
  t.deepEqual([...new Set(checkLines(doubled).map(({ checker }) => checker))], ['hand-over']);
});

test('a history survives its JSON lines', (t) => {
  const story = new Story();
  story.take('c1', story.write('1'));
  const text = story.lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  t.deepEqual(parseLines(text), story.lines);
  t.throws(() => parseLines('{"no": "kind"}'), { message: /line 1/ });
  t.true(checkers.length >= 11);
});
