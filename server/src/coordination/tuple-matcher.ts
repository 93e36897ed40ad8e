import {
  type CompiledPattern,
  FieldOffsets,
  hash32,
  hashOfPattern,
  shapeOf,
  type Template,
} from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import { tupleIndexSliceRows } from '../base/limits.ts';
import type { LeaderLimits, RowNumber, SpaceView } from './ports.ts';
import { TupleIndex } from './tuple-index.ts';
import { type Chain, type PassedRows, Walk } from './walk.ts';

interface Build {
  readonly name: string;
  readonly index: TupleIndex;
  /** The oldest row that is not in yet; -1: all are. */
  next: RowNumber;
}

/** The fields by which an alternative can be looked up, and the hashes under which its tuples lie. */
interface Lookup {
  readonly fields: readonly number[];
  readonly hashes: readonly number[];
}

/** Finds ready tuples by template: through hash indexes, made on first use, or the age list. */
export class TupleMatcher {
  readonly #space: SpaceView;
  readonly #limits: LeaderLimits;
  readonly #offsets = new FieldOffsets();
  readonly #indexes = new Map<string, TupleIndex>();
  readonly #builds: Build[] = [];
  /** Walks that go on in a later turn, and who hears of the rows they have passed. */
  readonly #resting = new Map<Walk, PassedRows>();
  #uses = 0;

  constructor(space: SpaceView, limits: LeaderLimits) {
    this.#space = space;
    this.#limits = limits;
  }

  /**
   * Ready rows of a space that match, oldest first; those out of sight by time among them. By age:
   * through the age list, which is never dropped.
   */
  walk(space: SpaceId, template: Template | undefined, byAge = false): Walk {
    const chains = template === undefined || byAge ? undefined : this.#chains(space, template);
    return new Walk({ view: this.#space, space, template, chains });
  }

  /** Keeps a walk in step with what `apply` does, until it is forgotten. */
  rest(walk: Walk, passed: PassedRows): void {
    walk.rest();
    const indexes = walk.indexes();
    for (const index of indexes) index.lastUse = this.#uses;
    if (indexes.every((index) => this.#isKept(index))) this.#resting.set(walk, passed);
  }

  /** Whether a walk that was left to rest may go on: not after an index that it uses was dropped. */
  mayGoOn(walk: Walk): boolean {
    return this.#resting.has(walk);
  }

  /** The walk is over, or nobody asks any more. */
  forget(walk: Walk): void {
    this.#resting.delete(walk);
  }

  /** Whether an index is being built. */
  get isBuilding(): boolean {
    return this.#builds.length > 0;
  }

  /** Bytes of all indexes, and whether any is still being built. */
  stats(): { readonly indexes: number; readonly bytes: number; readonly building: number } {
    let bytes = 0;
    for (const index of this.#indexes.values()) bytes += index.bytes;
    return { indexes: this.#indexes.size, bytes, building: this.#builds.length };
  }

  /** A row became ready; `offsets` has scanned its bytes. */
  ready(row: RowNumber, bytes: Uint8Array, offsets: FieldOffsets): void {
    const space = this.#space.rows.space(row);
    for (const index of this.#indexes.values()) {
      if (index.space === space) index.insert(row, bytes, offsets);
    }
    for (const { index, next } of this.#builds) {
      if (index.space !== space) continue;
      const isPassed = next < 0 || this.#space.idOf(row) < this.#space.idOf(next);
      if (isPassed) index.insert(row, bytes, offsets);
    }
    for (const [walk, passed] of this.#resting) if (walk.space === space) walk.ready(row, passed);
  }

  /** A row is no longer ready; it still stands in the age list. */
  unready(row: RowNumber): void {
    const space = this.#space.rows.space(row);
    for (const [walk, passed] of this.#resting) if (walk.space === space) walk.unready(row, passed);
    for (const index of this.#indexes.values()) index.remove(row);
    for (const build of this.#builds) {
      if (build.next === row) build.next = this.#space.nextReady(row);
      build.index.remove(row);
    }
  }

  /** Builds a little further; returns whether something is left to build. */
  build(budgetRows: number = tupleIndexSliceRows): boolean {
    const [build] = this.#builds;
    if (build === undefined) return false;
    for (let rows = 0; rows < budgetRows && build.next >= 0; rows += 1) {
      const row = build.next;
      build.next = this.#space.nextReady(row);
      const chunk = this.#space.chunkOf(row);
      const start = this.#space.startOf(row);
      const end = start + this.#space.rows.size(row);
      build.index.insert(row, chunk, this.#offsets.scan(chunk, start, end));
    }
    if (build.next < 0) {
      this.#builds.shift();
      this.#drop(build.name);
      this.#indexes.set(build.name, build.index);
    }
    return this.#builds.length > 0;
  }

  #chains(space: SpaceId, template: Template): Chain[] | undefined {
    const { alternatives } = template;
    const chains: Chain[] = [];
    for (let i = 0; i < alternatives.length; i += 1) {
      const lookup = lookupOf(alternatives[i] as CompiledPattern);
      if (lookup === undefined) return undefined;
      const index = this.#indexFor(space, lookup.fields);
      if (index === undefined) return undefined;
      const { fields } = index;
      const hashes =
        fields.length === lookup.fields.length
          ? lookup.hashes
          : [hashOfPattern(alternatives[i] as CompiledPattern, fields)];
      for (const hash of hashes) chains.push({ index, hash, row: index.first(hash) });
    }
    return chains;
  }

  /** The index of these fields; while there is none, the best one of some of them. */
  #indexFor(space: SpaceId, fields: readonly number[]): TupleIndex | undefined {
    this.#uses += 1;
    const name = nameOf(space, fields);
    let index = this.#indexes.get(name);
    if (index === undefined || index.isCrowded) this.#begin(name, space, fields);
    index ??= this.#partOf(space, fields);
    if (index !== undefined) index.lastUse = this.#uses;
    return index;
  }

  #partOf(space: SpaceId, fields: readonly number[]): TupleIndex | undefined {
    let best: TupleIndex | undefined;
    for (const index of this.#indexes.values()) {
      if (index.space !== space || !index.fields.every((field) => fields.includes(field))) continue;
      if (best === undefined || index.fields.length > best.fields.length) best = index;
    }
    return best;
  }

  #begin(name: string, space: SpaceId, fields: readonly number[]): void {
    if (this.#builds.some((build) => build.name === name)) return;
    const { ready } = this.#space.counts(space);
    if (ready < this.#limits.tupleIndexRowsMin) return;
    if (!this.#makeRoom(name)) return;
    const index = new TupleIndex(this.#space, space, fields, ready);
    this.#builds.push({ name, index, next: this.#space.oldestReady(space) });
  }

  /** The least recently used index goes; never one that is being built. */
  #makeRoom(name: string): boolean {
    const count = this.#indexes.size + this.#builds.length;
    if (count < this.#limits.tupleIndexesMax || this.#indexes.has(name)) return true;
    let oldest: string | undefined;
    let lastUse = Number.POSITIVE_INFINITY;
    for (const [each, index] of this.#indexes) {
      if (index.lastUse >= lastUse) continue;
      oldest = each;
      lastUse = index.lastUse;
    }
    return oldest !== undefined && this.#drop(oldest);
  }

  /** An index goes, or another takes its place: the walks that rest in it must begin anew. */
  #drop(name: string): boolean {
    const index = this.#indexes.get(name);
    if (index === undefined) return false;
    for (const walk of this.#resting.keys()) {
      if (walk.indexes().includes(index)) this.#resting.delete(walk);
    }
    return this.#indexes.delete(name);
  }

  /** Whether it still hears of what `apply` does. */
  #isKept(index: TupleIndex): boolean {
    return this.#indexes.get(nameOf(index.space, index.fields)) === index;
  }
}

function nameOf(space: SpaceId, fields: readonly number[]): string {
  return `${space}:${fields.join()}`;
}

function lookupOf(pattern: CompiledPattern): Lookup | undefined {
  const fields = shapeOf(pattern);
  if (fields.length > 0) return { fields, hashes: [hashOfPattern(pattern, fields)] };
  for (let i = 0; i < pattern.matchers.length; i += 1) {
    const matcher = pattern.matchers[i];
    if (matcher?.kind !== 'any-of') continue;
    return { fields: [i], hashes: [...new Set(matcher.keys.map((key) => hash32(key)))] };
  }
  return undefined;
}
