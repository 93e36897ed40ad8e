/** How long nobody is served when a leader dies, is cut off or stops. */
import { connect } from '@tuplet/client';
import { FailoverNodes } from './failover-nodes.ts';
import { FailoverWriter } from './failover-writer.ts';
import { Latency } from './latency.ts';
import { say, verdict } from './report.ts';

/** What befalls a leader, and within how many milliseconds 47 of 50 are to be over. */
export const failoverKinds = { kill: 500, cut: 2_000, planned: 100 } as const;
export type FailoverKind = keyof typeof failoverKinds;

/** Milliseconds of writing until a client is warm, then for what is usual, and after the fault is over. */
const warmMs = 500;
const usualMs = 400;
const afterMs = 200;
/** Milliseconds after which a fail-over is given up. */
const giveUpMs = 20_000;
/** The share of fail-overs that is to be within its time. */
const share = 47 / 50;

/** One client's view of one fault. In milliseconds from the fault on. */
interface Seen {
  /** When a write was first acknowledged that was begun after the fault, by one partition led at the victim. */
  readonly firstMs: number;
  /** When that was so of all of these partitions. */
  readonly allMs: number;
  /** The longest that a write to such a partition took, of those under way at the fault or begun until then. */
  readonly slowestMs: number;
}

/** The figures of one kind and one place of the client. */
interface Figures {
  readonly seen: Seen[];
  /** Other partitions, before a fault and until it was over. */
  readonly usual: Latency;
  readonly during: Latency;
}

const places = ['elsewhere', 'at the victim'] as const;

/** Runs so many faults of each kind, and prints and returns what clients saw. */
export async function failover(
  folder: string,
  options: {
    readonly nodes: number;
    readonly times: number;
    readonly kinds: readonly FailoverKind[];
  },
): Promise<unknown> {
  const nodes = await FailoverNodes.start(folder, options.nodes);
  try {
    say(`${options.nodes} nodes; ${nodes.network.says}`);
    const run = new FailoverRun(nodes, await tagsOf(nodes));
    const results: Record<string, unknown> = { network: nodes.network.says };
    for (const kind of options.kinds) results[kind] = await run.faults(kind, options.times);
    return results;
  } finally {
    await nodes.close();
  }
}

class FailoverRun {
  readonly #nodes: FailoverNodes;
  readonly #tags: ReadonlyMap<number, string>;
  #at = 0;

  constructor(nodes: FailoverNodes, tags: ReadonlyMap<number, string>) {
    this.#nodes = nodes;
    this.#tags = tags;
  }

  async faults(kind: FailoverKind, times: number): Promise<unknown> {
    const figures = new Map<string, Figures>(
      places.map((place) => [place, { seen: [], usual: new Latency(), during: new Latency() }]),
    );
    const failures = { definite: 0, unknown: 0 };
    for (let each = 0; each < times; each += 1) {
      for (const writer of await this.#fault(kind, figures)) {
        failures.definite += writer.failures.definite;
        failures.unknown += writer.failures.unknown;
      }
    }
    return print(kind, figures, failures);
  }

  async #fault(
    kind: FailoverKind,
    figures: ReadonlyMap<string, Figures>,
  ): Promise<FailoverWriter[]> {
    const nodes = this.#nodes;
    const leaders = await nodes.leaders();
    const victim = this.#victim([...leaders.values()].map(({ node }) => node));
    const partitions = [...leaders.keys()];
    const lost = new Set(partitions.filter((id) => leaders.get(id)?.node === victim));
    const others = partitions.filter((id) => !lost.has(id));
    const [target = 0] = [...lost].slice(this.#at % lost.size);
    const elsewhere = (victim % nodes.count) + 1;
    const writers: FailoverWriter[] = [];
    for (const first of [elsewhere, victim]) {
      const writer = new FailoverWriter(await connect(nodes.url(first)), this.#tags);
      writer.begin([target]);
      writer.begin([...lost]);
      writer.begin(others);
      writers.push(writer);
    }
    await later(warmMs + usualMs);
    const ended = this.#strike(kind, victim);
    const faultMs = performance.now();
    await over(writers, faultMs, lost);
    await later(afterMs);
    await ended;
    await this.#mend(kind, victim);
    await Promise.all(writers.map((writer) => writer.end()));
    for (const [at, place] of places.entries()) {
      const [writer, into] = [writers[at], figures.get(place)];
      if (writer !== undefined && into !== undefined) look(writer, { faultMs, target, lost, into });
    }
    return writers;
  }

  /** Nodes that lead something, by turns. */
  #victim(leading: readonly number[]): number {
    const candidates = this.#nodes.all.filter((node) => leading.includes(node));
    this.#at += 1;
    return candidates[this.#at % candidates.length] ?? 1;
  }

  #strike(kind: FailoverKind, victim: number): Promise<void> {
    if (kind === 'kill') return this.#nodes.end(victim, 'SIGKILL');
    if (kind === 'planned') return this.#nodes.end(victim, 'SIGTERM');
    this.#nodes.cut(victim);
    return Promise.resolve();
  }

  async #mend(kind: FailoverKind, victim: number): Promise<void> {
    if (kind === 'cut') this.#nodes.heal(victim);
    else await this.#nodes.start(victim);
    // It takes part again before the next one goes.
    await later(800);
  }
}

/** Resolves when every writer is served again. */
async function over(
  writers: readonly FailoverWriter[],
  faultMs: number,
  lost: ReadonlySet<number>,
): Promise<void> {
  const isServed = (): boolean =>
    writers.every((writer) => Number.isFinite(writer.servedMs(faultMs, lost)));
  while (!isServed() && performance.now() < faultMs + giveUpMs) await later(10);
}

function look(
  writer: FailoverWriter,
  what: {
    readonly faultMs: number;
    readonly target: number;
    readonly lost: ReadonlySet<number>;
    readonly into: Figures;
  },
): void {
  const { faultMs, target, lost, into } = what;
  const givenUpMs = faultMs + giveUpMs;
  const firstMs = Math.min(writer.servedMs(faultMs, new Set([target])), givenUpMs);
  const allMs = Math.min(writer.servedMs(faultMs, lost), givenUpMs);
  const slow = new Latency();
  writer.record(slow, ({ partition, begunMs, endedMs }) => {
    return lost.has(partition) && endedMs >= faultMs && begunMs <= allMs + afterMs;
  });
  into.seen.push({ firstMs: firstMs - faultMs, allMs: allMs - faultMs, slowestMs: slow.maxMs });
  const isOther = (partition: number): boolean => !lost.has(partition);
  writer.record(into.usual, ({ partition, begunMs, endedMs }) => {
    return isOther(partition) && begunMs >= faultMs - usualMs && endedMs < faultMs;
  });
  writer.record(into.during, ({ partition, begunMs, endedMs }) => {
    return isOther(partition) && endedMs >= faultMs && begunMs <= allMs;
  });
}

function print(
  kind: FailoverKind,
  figures: ReadonlyMap<string, Figures>,
  failures: { readonly definite: number; readonly unknown: number },
): unknown {
  const withinMs = failoverKinds[kind];
  const result: Record<string, unknown> = { failures };
  for (const [place, { seen, usual, during }] of figures) {
    // A leader that stops serves until it has handed over, so its first write says nothing.
    const first = summary(seen.map(({ firstMs }) => firstMs));
    const all = summary(seen.map(({ allMs }) => allMs));
    const slowest = summary(seen.map(({ slowestMs }) => slowestMs));
    const counts = kind === 'planned' ? slowest : first;
    say(
      `${kind}, client ${place}: first ${line(first)}; all partitions ${line(all)}; slowest ${line(slowest)}; ` +
        `47 of 50 within ${withinMs} ms ${verdict(counts.most <= withinMs)}; other partitions' p99 ` +
        `${usual.percentile(99).toFixed(1)} ms usually, ${during.percentile(99).toFixed(1)} during it`,
    );
    const p99 = { usualMs: usual.percentile(99), duringMs: during.percentile(99) };
    result[place] = {
      firstMs: first,
      allMs: all,
      slowestMs: slowest,
      otherPartitionsP99: p99,
      seen,
    };
  }
  const { definite, unknown } = failures;
  say(`${kind}: ${unknown} writes of unknown outcome, ${definite} that failed for sure`);
  return result;
}

interface Summary {
  readonly median: number;
  /** The 47th of 50. */
  readonly most: number;
  readonly max: number;
}

function summary(values: readonly number[]): Summary {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (part: number): number =>
    sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
  return { median: at(0.5), most: at(share), max: at(1) };
}

function line({ median, most, max }: Summary): string {
  return `${median.toFixed(0)} (47th of 50 ${most.toFixed(0)}, most ${max.toFixed(0)}) ms`;
}

/** Of each partition a tag whose tuples are its: found by writing. */
async function tagsOf(nodes: FailoverNodes): Promise<ReadonlyMap<number, string>> {
  const client = await connect(nodes.url(1));
  const tags = new Map<number, string>();
  let before = await nodes.leaders();
  for (let each = 0; tags.size < before.size; each += 1) {
    await client.space('default').write([`tag-${each}`, 0]);
    const after = await nodes.leaders();
    for (const [partition, { ready }] of after) {
      if (ready > (before.get(partition)?.ready ?? 0) && !tags.has(partition))
        tags.set(partition, `tag-${each}`);
    }
    before = after;
  }
  await client.close();
  return tags;
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
