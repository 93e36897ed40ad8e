import test from 'ava';
import { HandClock } from '../../test/router/bench.ts';
import type { LogIndex, NodeId, PartitionId } from '../base/ids.ts';
import { historyAgainMs, historyUnavailableMs, historyWaitMs } from '../base/limits.ts';
import { beforeAllEvents, type EventPlace } from '../space/history.ts';
import { Driver } from '../space/testing-driver.ts';
import type { CoordinationItem } from '../transport/coordination-codec.ts';
import { type HistorySources, MeshHistoryReader } from './histories.ts';
import { HistoryCalls, type HistoryHost } from './history-calls.ts';

const p3 = 3 as PartitionId;
const one = 1 as NodeId;
const two = 2 as NodeId;
const three = 3 as NodeId;

/** A node's host with a replica of one partition, or without. */
class Holder {
  readonly driver = new Driver();
  hasReplica = true;
  readonly #observers = new Set<() => void>();

  readonly host: HistoryHost = {
    hasReplica: () => this.hasReplica,
    spaceOf: () => this.driver.space,
    onApplied: (_partition, run) => {
      this.#observers.add(run);
      return () => void this.#observers.delete(run);
    },
  };

  get observers(): number {
    return this.#observers.size;
  }

  write(text: string): void {
    this.driver.write(text);
    for (const run of [...this.#observers]) run();
  }
}

/** Node 1 reads what nodes 2 and 3 have, over links that the test breaks. */
class Bench {
  readonly clock = new HandClock();
  readonly own = new Holder();
  readonly others = new Map<NodeId, Holder>([
    [two, new Holder()],
    [three, new Holder()],
  ]);
  readonly #calls = new Map<NodeId, HistoryCalls>();
  /** Whom node 1 asked, each time. */
  readonly asked: NodeId[] = [];
  isOwn = false;
  woken = 0;
  #changed: () => void = () => undefined;
  readonly reader: MeshHistoryReader;

  constructor() {
    const { clock } = this;
    for (const [node, { host }] of [[one, this.own] as const, ...this.others]) {
      const say = (to: NodeId, item: CoordinationItem): void => this.#deliver(node, to, item);
      this.#calls.set(node, new HistoryCalls({ clock, host, say }));
    }
    for (const node of this.others.keys()) this.link(node);
    const sources: HistorySources = {
      clock,
      host: this.own.host,
      calls: {
        ask: (to, what, answer) => {
          this.asked.push(to);
          this.#of(one).ask(to, what, answer);
        },
      },
      isOwn: () => this.isOwn,
      others: () => [...this.others.keys()],
      onChange: (run) => {
        this.#changed = run;
        return () => undefined;
      },
    };
    this.reader = new MeshHistoryReader(sources, p3, () => {
      this.woken += 1;
    });
  }

  link(node: NodeId): void {
    this.#of(one).connected(node);
    this.#of(node).connected(one);
  }

  break(node: NodeId): void {
    this.#of(one).broken(node);
    this.#of(node).broken(one);
  }

  /** A replica comes here, or goes. */
  moves(isOwn: boolean): void {
    this.isOwn = isOwn;
    this.#changed();
  }

  write(text: string): void {
    for (const holder of [this.own, ...this.others.values()]) holder.write(text);
  }

  /** Positions of what is read after a place. */
  read(after: EventPlace): number[] | string {
    const events = this.reader.read(after, 500, 1_000_000);
    return typeof events === 'string' ? events : events.map(({ place }) => place.revision);
  }

  #of(node: NodeId): HistoryCalls {
    const calls = this.#calls.get(node);
    if (calls === undefined) throw new Error('there are three');
    return calls;
  }

  #deliver(from: NodeId, to: NodeId, item: CoordinationItem): void {
    if (item.kind === 'history-ask') this.#of(to).asked(from, item);
    if (item.kind === 'history-answer') this.#of(to).answered(from, item.call, item.outcome);
  }
}

const at = (revision: number): EventPlace => ({ revision: revision as LogIndex, position: 0 });

test('what another node has is read a page at a time, each event once and in order', (t) => {
  const bench = new Bench();
  bench.write('a');
  bench.write('b');
  t.deepEqual(bench.read(beforeAllEvents), [], 'it is asked for');
  t.is(bench.woken, 1);
  const first = bench.read(beforeAllEvents);
  if (typeof first === 'string') return t.fail();
  t.is(first.length, 2);
  const [a, b] = first as [number, number];
  t.deepEqual(bench.read(at(a)), [b]);
  t.deepEqual(bench.read(at(b)), []);
  // It waits there until there is more, and then comes by itself.
  t.is(bench.asked.length, 2);
  bench.write('c');
  t.is(bench.woken, 2);
  t.is((bench.read(at(b)) as number[]).length, 1);
  t.deepEqual(bench.asked, [two, two]);
});

test('a question that nothing follows is answered empty after a while, and asked again', (t) => {
  const bench = new Bench();
  t.deepEqual(bench.read(beforeAllEvents), []);
  bench.clock.advance(historyWaitMs + 1);
  t.is(bench.woken, 1);
  t.is(bench.others.get(two)?.observers, 0, 'nobody waits there any more');
  t.deepEqual(bench.read(beforeAllEvents), []);
  t.is(bench.asked.length, 2);
});

test('where a node goes away, or has no replica any more, the next one is asked from the same place', (t) => {
  const bench = new Bench();
  bench.write('a');
  bench.read(beforeAllEvents);
  const [a] = bench.read(beforeAllEvents) as number[];
  t.deepEqual(bench.read(at(a ?? 0)), []);
  bench.break(two);
  bench.write('b');
  bench.clock.advance(historyAgainMs);
  bench.read(at(a ?? 0));
  t.is(bench.asked.at(-1), three);
  const rest = bench.read(at(a ?? 0)) as number[];
  t.is(rest.length, 1);
  const gone = bench.others.get(three);
  if (gone !== undefined) gone.hasReplica = false;
  bench.link(two);
  bench.read(at(rest[0] ?? 0));
  bench.write('c');
  for (let round = 0; round < 3; round += 1) {
    bench.clock.advance(historyWaitMs + historyAgainMs);
    bench.read(at(rest[0] ?? 0));
  }
  t.is((bench.read(at(rest[0] ?? 0)) as number[]).length, 1);
});

test('a replica that comes here is read from then on, and one that goes no more', (t) => {
  const bench = new Bench();
  bench.write('a');
  bench.moves(true);
  const [a] = bench.read(beforeAllEvents) as number[];
  t.deepEqual(bench.asked, [], 'nobody else is asked');
  t.is(bench.own.observers, 1);
  bench.own.hasReplica = false;
  bench.moves(false);
  t.is(bench.own.observers, 0);
  bench.write('b');
  bench.read(at(a ?? 0));
  t.is((bench.read(at(a ?? 0)) as number[]).length, 1);
  t.deepEqual(bench.asked, [two]);
  bench.reader.close();
});

test('where nobody can say for long the reader says so, and not before', (t) => {
  const bench = new Bench();
  for (const node of [two, three]) bench.break(node);
  let bounds: unknown = 'none yet';
  bench.reader.bounds((answer) => {
    bounds = answer;
  });
  bench.clock.advance(historyUnavailableMs - 2 * historyAgainMs);
  t.is(bounds, 'none yet');
  bench.clock.advance(4 * historyAgainMs);
  t.is(bounds, undefined);
  const fresh = new Bench();
  fresh.write('a');
  fresh.reader.bounds((answer) => {
    bounds = answer;
  });
  t.deepEqual(bounds, {
    last: fresh.own.driver.space.history.lastPlace,
    cut: fresh.own.driver.space.history.cutPlace,
  });
});
