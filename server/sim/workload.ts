/**
 * What the applications do: a mixture of all operations on few tags and keys, so that they meet.
 * Every choice comes from the client's own stream of the seed.
 */
import type { Prng } from '../src/base/prng.ts';
import type { ArgumentsJson, FoundJson, OutcomeJson, ResultJson } from './check/history.ts';
import type { MatcherJson, PatternJson, TemplateJson, TupleJson } from './check/values.ts';
import type { Asked } from './client.ts';

/** A space of the run, with what decides whether a template is pinned. */
export interface SimSpace {
  readonly name: string;
  /** The tag that is spread, by which fields. */
  readonly rule:
    | { readonly tag: string; readonly spread: number; readonly fields: number[] }
    | undefined;
  readonly like: string | undefined;
}

/** The spaces of every run. */
export const simSpaces: readonly SimSpace[] = [
  { name: 'plain', rule: undefined, like: undefined },
  { name: 'spread', rule: { tag: 'job', spread: 8, fields: [1] }, like: undefined },
  { name: 'twin', rule: { tag: 'job', spread: 8, fields: [1] }, like: 'spread' },
];

const tags = ['job', 'lock', 'res'] as const;
const keysCount = 4;

/** An operation to start. */
export interface Plan {
  readonly operation: Asked;
  readonly asked: ArgumentsJson;
  readonly timeoutMs: number;
}

/** How the applications of one run lean. */
export interface WorkloadOptions {
  /** How many of the spaces are used: in fewer, more meet. */
  readonly spaceCount: number;
  /** Of a hundred takes and reads: how many wait, and how many of those for ever. */
  readonly waitPercent: number;
  readonly foreverPercent: number;
  /** Of a hundred templates: how many are not pinned. */
  readonly unpinnedPercent: number;
  /** Of a hundred templates that are not pinned: how many name two places, and no more. */
  readonly pairPercent: number;
  /** Of a hundred writes: how many have a lease. */
  readonly leasePercent: number;
  /** Bytes of padding in some tuples: fills the log, the history and the disk. */
  readonly paddingBytes: number;
  /** How often each operation is started. */
  readonly weights: Weights;
}

/** Of each operation its share. */
export type Weights = Readonly<Record<Asked, number>>;

/** A little of everything. */
export const usualWeights: Weights = {
  write: 26,
  'write-many': 4,
  'write-if-absent': 6,
  read: 8,
  take: 26,
  'read-many': 3,
  'take-many': 5,
  replace: 5,
  increment: 7,
  count: 5,
  renew: 3,
  cancel: 3,
};

const any: MatcherJson = { any: true };

/** The application of one client. */
export class Workload {
  readonly #name: string;
  readonly #random: Prng;
  readonly #options: WorkloadOptions;
  readonly #weights: readonly [Asked, number][];
  readonly #weightSum: number;
  /** Tuples seen lately: what is renewed, cancelled and replaced by version. */
  readonly #seen: { readonly space: string; readonly found: FoundJson }[] = [];
  #uniques = 0;

  constructor(name: string, random: Prng, options: WorkloadOptions) {
    this.#name = name;
    this.#random = random;
    this.#options = options;
    this.#weights = Object.entries(options.weights) as [Asked, number][];
    this.#weightSum = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
  }

  /** The next operation. */
  next(): Plan {
    let at = this.#random.below(this.#weightSum);
    for (const [asked, weight] of this.#weights) {
      at -= weight;
      if (at < 0) return plans[asked](this);
    }
    return this.write();
  }

  /** Remembers what an answer showed. */
  saw(asked: ArgumentsJson, outcome: OutcomeJson, result: ResultJson): void {
    if (outcome !== 'ok') return;
    const space = asked.space ?? '';
    const found = result.found?.[0];
    if (found !== undefined) this.#remember(space, found);
    const { written } = result;
    if (written !== undefined && asked.tuple !== undefined) {
      this.#remember(space, { ...written, deliveries: 0, state: 'ready', tuple: asked.tuple });
    }
  }

  #remember(space: string, found: FoundJson): void {
    this.#seen.push({ space, found });
    if (this.#seen.length > 8) this.#seen.shift();
  }

  write(): Plan {
    return this.#plan('write', { space: this.#space(), tuple: this.#tuple(), ...this.#lease() });
  }

  writeMany(): Plan {
    const tuples = Array.from({ length: this.#random.between(2, 6) }, () => this.#tuple());
    return this.#plan('write-many', { space: this.#space(), tuples, ...this.#lease() });
  }

  /** A lock, a counter to begin with, or a tuple whose key is free. */
  writeIfAbsent(): Plan {
    const space = this.#space();
    const key = this.#random.below(keysCount);
    const counter = this.#random.chance(1, 3);
    const tag = counter ? 'count' : 'lock';
    const tuple: TupleJson = [tag, key, this.#unique(), counter ? 0 : this.#random.below(100)];
    const absent = [{ matchers: [{ actual: tag }, { actual: key }], rest: true }];
    const lease = counter ? {} : this.#lease();
    return this.#plan('write-if-absent', { space, tuple, absent, ...lease });
  }

  read(): Plan {
    return this.#plan('read', { ...this.#template(), waitMs: this.#wait() });
  }

  take(): Plan {
    return this.#plan('take', { ...this.#template(), waitMs: this.#wait() });
  }

  readMany(): Plan {
    const asked = this.#template();
    const max = this.#random.between(1, 8);
    const min = asked.pinned ? this.#random.between(1, Math.min(3, max)) : 1;
    return this.#plan('read-many', { ...asked, max, min, waitMs: this.#wait() });
  }

  takeMany(): Plan {
    const { asked } = { asked: this.readMany().asked };
    return this.#plan('take-many', asked);
  }

  replace(): Plan {
    const seen = this.#pickSeen();
    if (seen !== undefined && this.#random.chance(1, 2)) {
      const { space, found } = seen;
      const tuple = this.#sameRoute(found.tuple);
      const version = { id: found.id, revision: found.revision };
      return this.#plan('replace', { space, version, tuple });
    }
    const space = this.#space();
    const tag = this.#random.pick(tags);
    const key = this.#random.below(keysCount);
    const template = [{ matchers: [{ actual: tag }, { actual: key }], rest: true }];
    const tuple: TupleJson = [tag, key, this.#unique(), this.#random.below(100)];
    return this.#plan('replace', { space, template, tuple });
  }

  increment(): Plan {
    const key = this.#random.below(keysCount);
    const template = [{ matchers: [{ actual: 'count' }, { actual: key }], rest: true }];
    const asked = { space: this.#space(), template, field: 3, delta: 1, pinned: true };
    return this.#plan('increment', asked);
  }

  count(): Plan {
    if (this.#random.chance(1, 4)) {
      return this.#plan('count', { space: this.#space(), template: null, pinned: false });
    }
    return this.#plan('count', this.#template());
  }

  renew(): Plan {
    const seen = this.#pickSeen();
    if (seen === undefined) return this.write();
    const lease = this.#random.chance(1, 8) ? {} : { leaseMs: this.#random.between(200, 5000) };
    return this.#plan('renew', { space: seen.space, tupleId: seen.found.id, ...lease });
  }

  cancel(): Plan {
    const seen = this.#pickSeen();
    if (seen === undefined) return this.write();
    return this.#plan('cancel', { space: seen.space, tupleId: seen.found.id });
  }

  #plan(operation: Asked, asked: ArgumentsJson): Plan {
    const timeoutMs = this.#random.chance(1, 12) ? this.#random.between(5, 500) : 60_000;
    const waits = asked.waitMs === null || (asked.waitMs ?? 0) > 0;
    return { operation, asked, timeoutMs: waits ? Number.POSITIVE_INFINITY : timeoutMs };
  }

  #pickSpace(): SimSpace {
    return this.#random.pick(simSpaces.slice(0, this.#options.spaceCount));
  }

  #space(): string {
    return this.#pickSpace().name;
  }

  #pickSeen(): { readonly space: string; readonly found: FoundJson } | undefined {
    return this.#seen.length === 0 ? undefined : this.#random.pick(this.#seen);
  }

  #unique(): string {
    return `u:${this.#name}:${++this.#uniques}`;
  }

  #tuple(): TupleJson {
    const tag = this.#random.pick(tags);
    const fields = [tag, this.#random.below(keysCount), this.#unique(), this.#random.below(100)];
    const { paddingBytes } = this.#options;
    if (paddingBytes === 0 || !this.#random.chance(1, 4)) return fields;
    return [...fields, 'x'.repeat(this.#random.between(1, paddingBytes))];
  }

  /** A new tuple that may take the place of an old one. */
  #sameRoute(old: TupleJson): TupleJson {
    return [old[0] ?? null, old[1] ?? null, this.#unique(), this.#random.below(100)];
  }

  #lease(): { readonly leaseMs?: number } {
    if (!this.#random.chance(this.#options.leasePercent, 100)) return {};
    return { leaseMs: this.#random.between(100, 4000) };
  }

  #wait(): number | null {
    if (!this.#random.chance(this.#options.waitPercent, 100)) return 0;
    if (this.#random.chance(this.#options.foreverPercent, 100)) return null;
    return this.#random.between(10, 2500);
  }

  #template(): { space: string; template: TemplateJson; pinned: boolean } {
    const space = this.#pickSpace();
    const unpinned = this.#random.chance(this.#options.unpinnedPercent, 100);
    const template = unpinned ? this.#unpinned() : [this.#pinned()];
    return { space: space.name, template, pinned: isPinned(space, template) };
  }

  #pinned(): PatternJson {
    const random = this.#random;
    const tag: MatcherJson = { actual: random.pick(tags) };
    const key: MatcherJson = { actual: random.below(keysCount) };
    const matchers: MatcherJson[] = [tag, key];
    const more = random.below(6);
    if (more === 0) matchers.push(any, { range: { lower: random.below(50) } });
    if (more === 1) matchers.push(any, { in: [random.below(100), random.below(100)] });
    if (more === 2) matchers.push({ prefix: `u:${this.#name}` });
    if (more === 3) matchers.push({ formal: 'string' }, { not: { actual: random.below(100) } });
    if (more === 4) matchers[1] = any;
    return { matchers, rest: true };
  }

  #unpinned(): PatternJson[] {
    const random = this.#random;
    if (random.chance(this.#options.pairPercent, 100)) return [this.#pinned(), this.#pinned()];
    const first = random.below(4);
    const key: MatcherJson = { actual: random.below(keysCount) };
    if (first === 0) return [{ matchers: [any, key], rest: true }];
    if (first === 1) return [{ matchers: [{ in: ['job', 'res'] }], rest: true }];
    if (first === 2) return [{ matchers: [{ not: { actual: 'count' } }, key], rest: true }];
    return [{ matchers: [{ actual: 'job' }, any], rest: true }];
  }
}

/** Whether every alternative fixes each hashed field, and all to the same values (SPEC §6). */
export function isPinned(space: SimSpace, template: TemplateJson): boolean {
  const routes = template.map(({ matchers }) => {
    const first = matchers[0];
    if (first === undefined || !('actual' in first)) return undefined;
    const { rule } = space;
    if (rule === undefined || rule.tag !== first.actual) return JSON.stringify(first.actual);
    const fields = rule.fields.map((field) => matchers[field]);
    if (!fields.every((each) => each !== undefined && 'actual' in each)) return undefined;
    return JSON.stringify([first.actual, fields]);
  });
  return routes[0] !== undefined && routes.every((route) => route === routes[0]);
}

const plans: Readonly<Record<Asked, (workload: Workload) => Plan>> = {
  write: (workload) => workload.write(),
  'write-many': (workload) => workload.writeMany(),
  'write-if-absent': (workload) => workload.writeIfAbsent(),
  read: (workload) => workload.read(),
  take: (workload) => workload.take(),
  'read-many': (workload) => workload.readMany(),
  'take-many': (workload) => workload.takeMany(),
  replace: (workload) => workload.replace(),
  increment: (workload) => workload.increment(),
  count: (workload) => workload.count(),
  renew: (workload) => workload.renew(),
  cancel: (workload) => workload.cancel(),
};
