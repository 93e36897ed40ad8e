import { type Client, connect, type Space, type WritableTuple } from '@tuplet/client';
import type { MatcherSpec, PatternSpec } from '@tuplet/proto';
import { Latency } from './latency.ts';
import { ParkedTakes } from './parked-takes.ts';
import type { MemoryReport } from './probe/messages.ts';
import { type RacesResult, races } from './races.ts';
import { say, verdict } from './report.ts';
import { ServerProcess } from './server-process.ts';

const sessionCount = 16;
const partitionCount = 16;
const tagCount = 1_000;
const pinnedBytesMax = 1_536;
const wakeMsMax = 5;
const wakeRatioMax = 3;
/** Takes sent before the leaders have them all: beyond 16,384 messages a leader refuses. */
const parkedAtOnce = 4_000;
/** Milliseconds without a change after which the number of waiters will not become right any more. */
const settleMs = 30_000;
/** Milliseconds between writes, so that one hand-over does not meet the next. */
const paceMs = 5;

const kinds = ['keyed', 'range', 'unpinned'] as const;
type WaiterKind = (typeof kinds)[number];

/** Latencies from the call of write to the tuple in the taker's hand, in milliseconds. */
interface Wake {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** What the waiters came to. */
export interface WaitersResult {
  readonly waiters: number;
  readonly empty: MemoryReport;
  readonly pinned: MemoryReport;
  readonly all: MemoryReport;
  readonly bytesPerPinned: number;
  readonly bytesPerUnpinned: number;
  /** By kind: with one waiter, and with all. */
  readonly wakes: readonly { readonly kind: WaiterKind; readonly one: Wake; readonly all: Wake }[];
  readonly races: RacesResult;
}

/** What is asked for. */
export interface WaitersOptions {
  readonly waiters: number;
  /** Writes that each wake one, for each kind. */
  readonly wakes: number;
  readonly races: number;
}

/** `waiters` blocked takes of as many templates: half keyed, a quarter ranges, a quarter unpinned. */
export async function waiters(folder: string, options: WaitersOptions): Promise<WaitersResult> {
  const server = await ServerProcess.start(folder, { probe: true });
  const client = await connect(`tuplet://${server.address}`);
  try {
    const bed = await Bed.open(server.address, client);
    const one = new Map<WaiterKind, Wake>();
    for (const kind of kinds) {
      await bed.park(kind, 1);
      one.set(kind, await bed.wake(kind, options.wakes));
    }
    const empty = await server.ask('memory');
    await bed.park('keyed', options.waiters / 2);
    await bed.park('range', options.waiters / 4);
    const pinned = await server.ask('memory');
    await bed.park('unpinned', options.waiters / 4);
    const all = await server.ask('memory');
    const wakes: { kind: WaiterKind; one: Wake; all: Wake }[] = [];
    for (const kind of kinds) {
      const single = one.get(kind);
      if (single === undefined) throw new Error('measured above');
      wakes.push({ kind, one: single, all: await bed.wake(kind, options.wakes) });
    }
    await bed.check();
    const raced = await races(client.space('default'), options.races);
    await bed.check();
    await bed.close();
    const result: WaitersResult = {
      waiters: options.waiters,
      empty,
      pinned,
      all,
      bytesPerPinned: (pinned.rss - empty.rss) / (options.waiters * 0.75),
      bytesPerUnpinned: (all.rss - pinned.rss) / (options.waiters * 0.25),
      wakes,
      races: raced,
    };
    print(result);
    return result;
  } finally {
    await client.close();
    await server.close();
  }
}

/** The parked takes, and who wakes them. */
class Bed {
  readonly #client: Client;
  readonly #space: Space;
  readonly #sessions: readonly ParkedTakes[];
  readonly #counts = { keyed: 0, range: 0, unpinned: 0 };
  #failure: Error | undefined;
  /** Takes that got a tuple, and the writes of such tuples. */
  #found = 0;
  #written = 0;
  #heard: ((kind: WaiterKind, number: number) => void) | undefined;

  private constructor(client: Client, sessions: readonly ParkedTakes[]) {
    this.#client = client;
    this.#space = client.space('default');
    this.#sessions = sessions;
  }

  static async open(address: string, client: Client): Promise<Bed> {
    let bed: Bed | undefined;
    const failed = (error: Error): void => bed?.fail(error);
    const sessions: ParkedTakes[] = [];
    for (let i = 0; i < sessionCount; i += 1)
      sessions.push(await ParkedTakes.open(address, failed));
    bed = new Bed(client, sessions);
    return bed;
  }

  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Parks takes of one kind until there are `count`, and waits until the server has them. */
  async park(kind: WaiterKind, count: number): Promise<void> {
    while (this.#counts[kind] < count) {
      const from = this.#counts[kind];
      const to = Math.min(count, from + parkedAtOnce);
      this.#counts[kind] = to;
      const shares = this.#sessions.map((_, session) =>
        numbers(from, to).filter((number) => number % sessionCount === session),
      );
      await Promise.all(this.#sessions.map((_, i) => this.#parkOn(i, kind, shares[i] ?? [])));
      await this.#parked();
    }
  }

  async #parkOn(session: number, kind: WaiterKind, share: readonly number[]): Promise<void> {
    await this.#sessions[session]?.park(
      share.map((number) => patternOf(kind, number)),
      (index) => {
        this.#found += 1;
        const number = share[index] ?? -1;
        // It stands in line again at once, so that their number stays.
        void this.#parkOn(session, kind, [number]);
        this.#heard?.(kind, number);
      },
    );
  }

  /** Resolves when the leaders hold as many waiters as are parked; an unpinned one is in each. */
  async #parked(): Promise<void> {
    const { keyed, range, unpinned } = this.#counts;
    const wanted = keyed + range + unpinned * partitionCount;
    let changedMs = performance.now();
    for (let seen = -1; seen !== wanted; ) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise((resolve) => setTimeout(resolve, 100));
      const { partitions } = await this.#client.admin.describeNode();
      const now = partitions.reduce((sum, partition) => sum + partition.waiters, 0);
      if (now !== seen) changedMs = performance.now();
      seen = now;
      if (performance.now() - changedMs > settleMs)
        throw new Error(`${seen} waiters at the leaders, where ${wanted} should be`);
    }
  }

  /** Writes `count` tuples, one after the other, each of which one waiter waits for. */
  async wake(kind: WaiterKind, count: number): Promise<Wake> {
    const latency = new Latency();
    const all = this.#counts[kind];
    for (let i = 0; i < count; i += 1) {
      if (this.#failure !== undefined) throw this.#failure;
      // A stride without a common factor, so that all sessions and partitions get their share.
      const number = (i * 7_919) % all;
      const began = performance.now();
      const found = new Promise<void>((resolve, reject) => {
        this.#heard = (foundKind, foundNumber) => {
          if (foundKind === kind && foundNumber === number) resolve();
          else reject(new Error(`${foundKind} ${foundNumber} got the tuple of ${kind} ${number}`));
        };
      });
      this.#written += 1;
      const writing = this.#space.write(tupleFor(kind, number));
      await found;
      latency.record(performance.now() - began);
      await writing;
      const leftMs = paceMs - (performance.now() - began);
      if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
    }
    this.#heard = undefined;
    return {
      p50Ms: latency.percentile(50),
      p99Ms: latency.percentile(99),
      maxMs: latency.maxMs,
    };
  }

  /** Each write woke exactly one: as many takes as writes, nothing left, everybody back in line. */
  async check(): Promise<void> {
    await this.#parked();
    if (this.#found !== this.#written)
      throw new Error(`${this.#written} writes woke ${this.#found} takes`);
    const left = await this.#space.count();
    if (left !== 0) throw new Error(`${left} tuples are left`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
  }
}

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** Number `number` of a kind: no tuple matches two of them. */
function patternOf(kind: WaiterKind, number: number): PatternSpec {
  const actual = (value: string | number): MatcherSpec => ({ kind: 'actual', value });
  const any: MatcherSpec = { kind: 'any' };
  const tag = actual(`${kind}-${number % tagCount}`);
  switch (kind) {
    case 'keyed':
      return { matchers: [tag, actual(number), any] };
    case 'range': {
      const lower = { value: number * 10 };
      const upper = { value: number * 10 + 10, exclusive: true };
      return { matchers: [tag, { kind: 'range', lower, upper }, any] };
    }
    case 'unpinned':
      return { matchers: [any, actual('unpinned'), actual(number)] };
  }
}

/** A tuple that number `number` of a kind waits for, and nobody else. */
function tupleFor(kind: WaiterKind, number: number): WritableTuple {
  switch (kind) {
    case 'keyed':
      return [`keyed-${number % tagCount}`, number, 'x'];
    case 'range':
      return [`range-${number % tagCount}`, number * 10 + 5, 'x'];
    case 'unpinned':
      return [`any-${number % tagCount}`, 'unpinned', number];
  }
}

function print(result: WaitersResult): void {
  const { waiters: count, bytesPerPinned, bytesPerUnpinned, wakes, empty, pinned, all } = result;
  say(
    `waiters, ${count} takes over ${sessionCount} sessions: ${bytesPerPinned.toFixed(0)} bytes of RSS a pinned one ` +
      `(target ${pinnedBytesMax}: ${verdict(bytesPerPinned <= pinnedBytesMax)}), ${bytesPerUnpinned.toFixed(0)} an unpinned one`,
  );
  const heap = (from: MemoryReport, to: MemoryReport, share: number): string =>
    `${((to.heapUsed - from.heapUsed) / (count * share)).toFixed(0)}`;
  say(`  of that heap in use: ${heap(empty, pinned, 0.75)} and ${heap(pinned, all, 0.25)} bytes`);
  for (const { kind, one, all: many } of wakes) {
    const limitMs = Math.max(wakeMsMax, wakeRatioMax * one.p99Ms);
    say(
      `  ${kind.padEnd(8)} write to hand: p50 ${many.p50Ms.toFixed(2)} p99 ${many.p99Ms.toFixed(2)} ms; with one waiter ` +
        `p50 ${one.p50Ms.toFixed(2)} p99 ${one.p99Ms.toFixed(2)} (target ${limitMs.toFixed(2)}: ${verdict(many.p99Ms <= limitMs)})`,
    );
  }
}
