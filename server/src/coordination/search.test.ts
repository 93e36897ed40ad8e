import { FieldOffsets, matchTuple, type Template } from '@tuplet/proto';
import test from 'ava';
import type { SessionId, TupleId } from '../base/ids.ts';
import { Prng } from '../base/prng.ts';
import type { NewTuple } from '../space/command.ts';
import type { Read } from './messages.ts';
import type { LeaderLimits } from './ports.ts';
import { MatchCount, Search } from './search.ts';
import {
  any,
  type Group,
  mutate,
  newGroup,
  newTuple,
  operation,
  put,
  query,
  range,
  read,
  take,
  template,
  testSlot,
  testSpace,
  union,
  withSession,
  write,
} from './testing-bed.ts';
import { TupleMatcher } from './tuple-matcher.ts';
import type { Walk } from './walk.ts';

const offsets = new FieldOffsets();
const upTo = (value: number): Template => template(any, range(0, value));

/** The matches in sight at this moment, oldest first, by a look at every tuple. */
function inSight({ space }: Group, matching: Template | undefined): TupleId[] {
  const ids: TupleId[] = [];
  for (let row = space.oldestReady(testSpace); row >= 0; row = space.nextReady(row)) {
    if (!space.rows.visible(row, space.stampMs)) continue;
    const bytes = space.bytesOf(row);
    if (matching !== undefined && !matchTuple(matching, bytes, offsets.scan(bytes))) continue;
    ids.push(space.idOf(row));
  }
  return ids;
}

function count(group: Group, call: number, matching: Template | undefined): void {
  group.receive(3, {
    kind: 'count',
    call,
    space: testSpace,
    template: matching,
    states: ['ready'],
  });
}

/** Random work on a group whose searches take a few rows a turn; each answer is right when it is given. */
class Schedule {
  readonly group: Group;
  readonly #prng: Prng;
  readonly #templates: readonly Template[];
  readonly #asked = new Map<number, Template | Read>();
  #session: SessionId;
  #sessions = 1;
  #calls = 0;
  /** Answers that came later than the turn of their question. */
  late = 0;
  /** Answers of which nothing was left when they were given. */
  gone = 0;
  violation: string | undefined;

  constructor(seed: number, limits: Partial<LeaderLimits>) {
    this.#prng = new Prng(seed, 'searches');
    this.group = newGroup(1, limits);
    this.#session = withSession(this.group);
    this.#templates = Array.from({ length: 5 }, () => this.#template());
  }

  step(): void {
    const { group } = this;
    const prng = this.#prng;
    const choice = prng.below(16);
    if (choice < 3) this.#write();
    else if (choice < 5) this.#take();
    else if (choice === 5) this.#replace();
    else if (choice === 6 && prng.below(3) === 0) this.#endSession();
    else if (choice === 7) group.pass(10 * prng.between(1, 3));
    // Leases end, and nothing removes the tuples yet.
    else if (choice === 15) group.nowMs += 20;
    else if (choice < 10) this.#count();
    else if (choice < 12) this.#read();
    this.#check(false);
    if (group.pending.length > 0) group.commit(1);
    else group.leader?.flush(group.nowMs);
    this.#check(true);
  }

  /** Until every question is answered; those that wait for more are told that their wait is over. */
  end(): void {
    for (const asked of this.#asked.values()) {
      if ('kind' in asked) this.group.receive(3, { ...asked, m: 2, waitEnded: true });
    }
    this.#check(true);
    for (let turns = 0; turns < 2_000 && this.#asked.size > 0; turns += 1) {
      this.group.commit(1);
      this.#check(true);
    }
    if (this.#asked.size > 0) this.violation ??= `${this.#asked.size} were not answered`;
  }

  #template(): Template {
    const prng = this.#prng;
    const field = () =>
      prng.pick([any, any, prng.below(3), range(0, prng.below(4)), range(prng.below(4), 9)]);
    const alternatives = prng.pick([1, 1, 2, 3]);
    return union(Array.from({ length: alternatives }, () => [field(), field(), field()]));
  }

  #tuple(): NewTuple {
    const prng = this.#prng;
    const leaseMs = prng.below(3) === 0 ? prng.between(5, 80) : undefined;
    return { ...newTuple(prng.below(3), prng.below(5), prng.below(3)), leaseMs };
  }

  #write(): void {
    const tuples = Array.from({ length: this.#prng.between(1, 4) }, () => this.#tuple());
    this.group.receive(1, write(this.group, undefined, ...tuples));
  }

  #take(): void {
    this.#calls += 1;
    const op = operation(this.#session, this.#calls);
    const more = { query: query(this.#prng.pick(this.#templates), { max: 2 }), waitEnded: true };
    this.group.receive(2, take(this.group, op, more.query.template, more));
  }

  #replace(): void {
    const target = this.#prng.pick(this.#templates);
    const { bytes } = this.#tuple();
    const leaseMs = 'keep' as const;
    const change = { kind: 'replace', space: testSpace, target, slot: testSlot, bytes, leaseMs };
    this.group.receive(1, mutate(this.group, undefined, change as never));
  }

  /** What it was handed returns to its old places. */
  #endSession(): void {
    const { group } = this;
    group.receiveLeader({ kind: 'deliver-end', session: this.#session, home: group.partition });
    this.#sessions += 1;
    const session = (9 * 2 ** 44 + this.#sessions) as SessionId;
    const index = group.space.appliedIndex + group.pending.length + 1;
    group.pending.push({
      index: index as never,
      entry: { stampMs: group.stampMs, command: { kind: 'know', session } },
    });
    this.#session = session;
  }

  #count(): void {
    this.#calls += 1;
    const matching = this.#prng.pick(this.#templates);
    this.#asked.set(this.#calls, matching);
    count(this.group, this.#calls, matching);
  }

  #read(): void {
    const prng = this.#prng;
    this.#calls += 1;
    const max = prng.between(1, 6);
    const wanted = query(prng.pick(this.#templates), { max, min: prng.between(1, max) });
    const waitEnded = prng.below(2) === 0;
    const asked = read(this.#calls, wanted.template, { query: wanted, waitEnded });
    this.#asked.set(this.#calls, asked);
    this.group.receive(3, asked);
  }

  #check(isLate: boolean): void {
    for (const { message } of this.group.said.splice(0)) {
      const asked = this.#asked.get(message.call);
      if (asked === undefined) continue;
      if (message.kind === 'counted' && !('kind' in asked)) {
        this.#expect(message.call, message.count, inSight(this.group, asked).length);
      } else if (message.kind === 'found' && 'kind' in asked) {
        const { template: matching, min, max } = asked.query;
        const ids = inSight(this.group, matching).slice(0, max);
        // One that waited may answer with what woke it, though that is gone by now.
        const isGone = ids.length === 0 && message.tuples.length === 1 && min === 1;
        if (isGone && !asked.waitEnded && max > 1) this.gone += 1;
        else this.#expect(message.call, message.tuples.map(({ id }) => id).join(), ids.join());
      } else if (message.kind === 'nothing' && 'kind' in asked) {
        const found = inSight(this.group, asked.query.template).length;
        this.#expect(message.call, found < asked.query.min, true);
      } else continue;
      if (isLate) this.late += 1;
      this.#asked.delete(message.call);
    }
  }

  #expect(call: number, said: unknown, expected: unknown): void {
    if (said !== expected) this.violation ??= `call ${call}: ${said}, not ${expected}`;
  }
}

test('a count or read over several turns answers what is so at its end, oldest first, whatever goes on [SPEC §3, §4]', (t) => {
  let late = 0;
  let gone = 0;
  for (let seed = 1; seed <= 120; seed += 1) {
    const prng = new Prng(seed, 'limits');
    const schedule = new Schedule(seed, {
      searchSliceRows: prng.between(1, 5),
      tupleIndexRowsMin: prng.pick([1, 1_000]),
      tupleIndexesMax: prng.between(1, 4),
    });
    for (let step = 0; step < 150; step += 1) schedule.step();
    schedule.end();
    late += schedule.late;
    gone += schedule.gone;
    if (schedule.violation !== undefined) {
      t.fail(`seed ${seed}: ${schedule.violation}`);
      return;
    }
  }
  t.true(late > 2_000, `${late} answers needed several turns`);
  t.true(gone < late / 20, `${gone} answers were of tuples that were gone`);
});

/** Turns until something is said. */
function turnsUntil(group: Group, kind: 'counted' | 'found' | 'nothing'): number {
  for (let turns = 0; turns < 10_000; turns += 1) {
    if (group.said.some(({ message }) => message.kind === kind)) return turns;
    group.leader?.flush(group.nowMs);
  }
  return Number.POSITIVE_INFINITY;
}

test('no turn looks at more rows than a slice has, and another turn is asked for until all is done', (t) => {
  const group = newGroup(1, { searchSliceRows: 10, tupleIndexRowsMin: 1_000 });
  put(group, ...Array.from({ length: 100 }, (_, value) => newTuple('job', value)));
  let looks = 0;
  const next = group.space.nextReady.bind(group.space);
  group.space.nextReady = (row) => {
    looks += 1;
    return next(row);
  };
  count(group, 1, upTo(60));
  group.receive(3, read(2, template(any, 99), { waitEnded: true }));
  t.true(looks <= 20);
  while (group.leader?.hasSlices === true) {
    const before = looks;
    group.leader.flush(group.nowMs);
    t.true(looks - before <= 10);
  }
  t.deepEqual(
    group.take('counted').map((said) => said.count),
    [61],
  );
  t.is(group.take('found').length, 1);
});

test('a read that waits and has not looked everywhere yet ends with its wait, after the look', (t) => {
  const group = newGroup(1, { searchSliceRows: 10 });
  put(group, ...Array.from({ length: 50 }, (_, value) => newTuple('job', value + 1)));
  group.receive(3, read(1, upTo(0)));
  group.receive(3, read(1, upTo(0), { m: 2, waitEnded: true }));
  t.deepEqual(group.take('nothing'), []);
  t.true(turnsUntil(group, 'nothing') > 1);
  t.deepEqual(
    group.take('nothing').map(({ m, cancelled }) => [m, cancelled]),
    [[2, false]],
  );
  t.is(group.leader?.stats().waiters, 0);
});

test('a search is over when its call is cancelled or its router gone', (t) => {
  const group = newGroup(1, { searchSliceRows: 10 });
  put(group, ...Array.from({ length: 50 }, (_, value) => newTuple('job', value + 1)));
  group.receive(3, read(1, upTo(0)));
  group.receive(3, read(1, upTo(0), { m: 2, cancelled: true }));
  t.deepEqual(
    group.take('nothing').map(({ m, cancelled }) => [m, cancelled]),
    [[2, true]],
  );
  group.receive(3, read(2, upTo(0)));
  count(group, 3, upTo(0));
  group.leader?.coordinatorGone(3);
  for (let turns = 0; turns < 100 && group.leader?.hasSlices === true; turns += 1) group.settle();
  t.deepEqual(group.kinds(), []);
  t.is(group.leader?.stats().waiters, 0);
});

test('a read that has looked everywhere stands in line, and what came and went meanwhile is not its answer', (t) => {
  const group = newGroup(1, { searchSliceRows: 10 });
  const session = withSession(group);
  put(group, ...Array.from({ length: 50 }, (_, value) => newTuple('other', value)));
  group.receive(3, read(1, template('job', any)));
  group.receive(2, write(group, undefined, newTuple('job', 1)));
  group.receive(1, take(group, operation(session, 1), template('job', 1)));
  group.commit();
  group.commit();
  t.is(group.space.counts().handed, 1);
  t.is(turnsUntil(group, 'found'), Number.POSITIVE_INFINITY);
  t.is(group.leader?.stats().waiters, 1);
  group.receive(2, write(group, undefined, newTuple('job', 2)));
  group.settle();
  t.is(group.take('found').length, 1);
});

test('a count that walks an index goes on in the right rows when a larger one takes its place', (t) => {
  const group = newGroup(1, { searchSliceRows: 100, tupleIndexRowsMin: 1 });
  const job = template('job', any);
  put(group, newTuple('job', 0));
  count(group, 1, job);
  group.settle();
  t.is(group.leader?.stats().indexes, 1);
  put(group, ...Array.from({ length: 900 }, (_, value) => newTuple('job', value + 1)));
  group.said.length = 0;
  // It finds the index crowded: it walks it, and a larger one is begun.
  count(group, 2, job);
  for (let turns = 0; turns < 5; turns += 1) put(group, newTuple('job', 1_000 + turns));
  t.deepEqual(group.take('counted'), []);
  turnsUntil(group, 'counted');
  t.deepEqual(
    group.take('counted').map((said) => said.count),
    [906],
  );
});

test('a count whose own last alternative drops the index of its first begins anew', (t) => {
  const limits = { searchSliceRows: 5, tupleIndexRowsMin: 1, tupleIndexesMax: 2 };
  const group = newGroup(1, limits);
  const tuples = Array.from({ length: 30 }, (_, value) => newTuple('a', value, 'b'));
  put(group, ...tuples);
  for (const fields of [
    ['a', any, any],
    [any, 1, any],
  ]) {
    count(group, 1, template(...fields));
    turnsUntil(group, 'counted');
    group.said.length = 0;
  }
  t.is(group.leader?.stats().indexes, 2);
  const alternatives = union([
    ['a', any, any],
    [any, 1, any],
    [any, 2, 'c'],
  ]);
  count(group, 2, alternatives);
  put(group, newTuple('a', 99, 'b'));
  t.deepEqual(group.take('counted'), []);
  turnsUntil(group, 'counted');
  t.deepEqual(
    group.take('counted').map((said) => said.count),
    [31],
  );
});

test('a search whose indexes are dropped again and again ends through the age list', (t) => {
  const group = newGroup();
  put(group, ...Array.from({ length: 30 }, (_, value) => newTuple('job', value)));
  const limits = { tupleIndexesMax: 1, tupleIndexRowsMin: 1 } as LeaderLimits;
  const matcher = new TupleMatcher(group.space, limits);
  matcher.walk(testSpace, template('job', any));
  matcher.build();
  const dropping = {
    walk: matcher.walk.bind(matcher),
    rest: matcher.rest.bind(matcher),
    forget: matcher.forget.bind(matcher),
    mayGoOn: (walk: Walk) => walk.indexes().length === 0 && matcher.mayGoOn(walk),
  };
  const matches = new MatchCount(group.space);
  const search = new Search({
    matcher: dropping as unknown as TupleMatcher,
    space: testSpace,
    template: template('job', any),
    matches,
    rowsMax: 10,
  });
  search.rest();
  for (let turns = 0; turns < 20 && !search.isDone; turns += 1) search.goOn(10);
  t.true(search.isDone);
  t.is(
    matches.count(() => true),
    30,
  );
});

test('searches beyond those that go on at once are done after them', (t) => {
  const group = newGroup(1, { searchSliceRows: 5, tupleIndexRowsMin: 1_000 });
  put(group, ...Array.from({ length: 40 }, (_, value) => newTuple('job', value)));
  for (let call = 1; call <= 30; call += 1) count(group, call, upTo(call));
  put(group, newTuple('job', 0));
  for (let turns = 0; turns < 1_000 && group.leader?.hasSlices === true; turns += 1) group.settle();
  const said = group.take('counted').map((each) => [each.call, each.count]);
  t.deepEqual(
    said.sort(([a = 0], [b = 0]) => a - b),
    Array.from({ length: 30 }, (_, i) => [i + 1, i + 3]),
  );
});
