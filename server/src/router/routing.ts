/**
 * Where a call goes: its space, checked tuples and templates, their slots and partitions. It looks
 * at the cluster map and at bytes, and keeps what it worked out for each space.
 */
import {
  canonicalTuple,
  compileTemplate,
  equalBytes,
  FieldOffsets,
  fixedValue,
  isProblem,
  keyOf,
  keyOfStored,
  type Problem,
  Routing,
  type Run,
  type Template,
} from '@tuplet/proto';
import type { Cancel } from '../base/doors.ts';
import type { PartitionId, Slot, SpaceId } from '../base/ids.ts';
import { KeptBytes } from '../base/kept-bytes.ts';
import type { SpaceRecord } from '../cluster/map-command.ts';
import { partitionIds, partitionOfSlot } from '../cluster/slots.ts';
import { spaceNameProblem } from '../cluster/space-checks.ts';
import type { NewTuple } from '../space/command.ts';
import { type Failure, invalid, isFailure, noMapLeader } from './failure.ts';
import { LastingTargets } from './lasting-targets.ts';
import type { RequestedTuple, SpaceRef } from './request.ts';

/** What the router reads of the cluster map. */
export interface MapView {
  /** How many partitions there are. */
  readonly partitions: number;
  /** Rises with every change of the spaces. */
  readonly epoch: number;
  space(name: string): SpaceRecord | undefined;
  spaceById(id: SpaceId): SpaceRecord | undefined;
}

/** Where the matches of a template may lie. */
export interface Target {
  readonly template: Template;
  /** The one slot of a pinned template (SPEC §6); undefined: not pinned. */
  readonly slot: Slot | undefined;
  /** One if pinned; else all that may hold a match, in order. At least one. */
  readonly partitions: readonly PartitionId[];
}

/** One space as calls see it. */
export class RoutedSpace {
  readonly record: SpaceRecord;
  readonly #routing: Routing;
  readonly #partitionCount: number;
  /** Every partition; shared, since calls that wait keep it. */
  readonly #partitions: readonly PartitionId[];
  readonly #hashed: readonly { readonly key: Uint8Array; readonly fields: readonly number[] }[];
  readonly #offsets: FieldOffsets = new FieldOffsets();
  readonly #kept = new KeptBytes();
  readonly #lasting: LastingTargets;

  constructor(record: SpaceRecord, partitionCount: number, lasting: LastingTargets) {
    this.record = record;
    this.#lasting = lasting;
    this.#partitionCount = partitionCount;
    this.#partitions = partitionIds(partitionCount);
    this.#routing = new Routing(record.routingName, record.rules);
    this.#hashed = record.rules.map(({ tag, fields }) => ({ key: keyOf(tag), fields }));
  }

  get id(): SpaceId {
    return this.record.id;
  }

  /** The tuple in canonical form with its slot, or what is wrong with it. `field` names it. */
  place(tuple: RequestedTuple, field: string): NewTuple | Failure {
    const { tupleBytesMax } = this.record.settings;
    const bytes = canonicalTuple(tuple.bytes, { tupleBytesMax });
    if (isProblem(bytes)) return refusedArgument(bytes, field);
    const slot = this.#routing.slotOfTuple(bytes, this.#offsets.scan(bytes)) as Slot;
    return { slot, bytes, leaseMs: tuple.leaseMs };
  }

  /**
   * `target` for a call that waits: of the message that the template came in it keeps nothing, and
   * calls with the same template share it.
   */
  lastingTarget(template: Uint8Array, field: string): Target | Failure {
    const known = this.#lasting.get(this.id, template);
    if (known !== undefined) return known;
    const source = this.#kept.keep(template);
    const target = this.#target(source, field);
    if (!isFailure(target)) this.#lasting.set(this.id, source, target);
    return target;
  }

  /** A template compiled, and where its matches may lie. Keeps the bytes. */
  target(template: Uint8Array, field: string): Target | Failure {
    return this.#target({ bytes: template, start: 0, end: template.length }, field);
  }

  #target({ bytes, start, end }: Run, field: string): Target | Failure {
    const compiled = compileTemplate(bytes, start, end);
    if (isProblem(compiled)) return refusedArgument(compiled, field);
    const where = this.#routing.slotsOfTemplate(compiled);
    if (where.kind === 'pinned') {
      const slot = where.slot as Slot;
      return { template: compiled, slot, partitions: [this.partitionOf(slot)] };
    }
    const partitions =
      where.kind === 'all' || where.slots.length === 0
        ? this.#partitions
        : this.#partitionsOf(where.slots);
    return { template: compiled, slot: undefined, partitions };
  }

  /** The partition of a slot. */
  partitionOf(slot: Slot): PartitionId {
    return partitionOfSlot(slot, this.#partitionCount);
  }

  /** Whether a field is one that routes the tuples which a template of fixed tags matches. */
  routesBy({ template }: Target, field: number): boolean {
    if (field === 0) return true;
    return template.alternatives.some((pattern) => {
      const tag = fixedValue(pattern.matchers[0]);
      if (tag === null) return false;
      const key = keyOfStored(tag.bytes, tag.start, tag.end);
      return this.#hashed.some(
        (rule) =>
          rule.fields.includes(field) &&
          equalBytes(rule.key, 0, rule.key.length, key, 0, key.length),
      );
    });
  }

  /** Every partition. */
  everywhere(): readonly PartitionId[] {
    return this.#partitions;
  }

  #partitionsOf(slots: readonly number[]): readonly PartitionId[] {
    const partitions = new Set<PartitionId>();
    for (const slot of slots) partitions.add(this.partitionOf(slot as Slot));
    return [...partitions].sort((a, b) => a - b);
  }
}

/** The spaces of the map, each prepared at its first use. */
export class SpaceDirectory {
  readonly #map: MapView;
  readonly #lookAtMap: (run: (isSeen: boolean) => void) => void;
  readonly #routed: Map<SpaceId, RoutedSpace> = new Map();
  readonly #lasting = new LastingTargets();
  readonly #observers: Set<() => void> = new Set();

  constructor(map: MapView, lookAtMap: (run: (isSeen: boolean) => void) => void) {
    this.#map = map;
    this.#lookAtMap = lookAtMap;
  }

  /** How many partitions there are. */
  get partitions(): number {
    return this.#map.partitions;
  }

  /** Whether ids may name this partition. */
  hasPartition(partition: number): boolean {
    return partition >= 1 && partition <= this.#map.partitions;
  }

  /** The space a call is for, as this node's map has it, which may lag: see `mayLag`. */
  resolve(ref: SpaceRef): RoutedSpace | Failure {
    if ('name' in ref) {
      if (ref.name === '') return invalid('REQUEST_INVALID', 'space', 'the call names no space');
      const record = this.#map.space(ref.name);
      if (record !== undefined) return this.#prepared(record);
      // Not quoted beyond what a name can be: error texts stay short.
      const name = ref.name.slice(0, 128);
      return { reason: 'SPACE_NOT_FOUND', field: 'space.name', message: `no space ${name}` };
    }
    if (ref.mapEpoch !== this.#map.epoch) return staleMap(ref.mapEpoch, this.#map.epoch);
    const record = this.#map.spaceById(ref.id as SpaceId);
    if (record !== undefined) return this.#prepared(record);
    return { reason: 'SPACE_NOT_FOUND', field: 'space.id', message: `no space with id ${ref.id}` };
  }

  /**
   * Whether a newer map may have a space that `resolve` has refused: then the cluster's is looked at before
   * its caller is told (SPEC §6).
   */
  mayLag(ref: SpaceRef): boolean {
    if ('name' in ref) return spaceNameProblem(ref.name, '') === undefined;
    return ref.mapEpoch >= this.#map.epoch;
  }

  /**
   * Calls `run` once this node's map is able to say whether there is such a space: at once where it has it,
   * else after a look at the cluster's. With a failure where that cannot be had.
   */
  settle(ref: SpaceRef, run: (failure: Failure | undefined) => void): void {
    if (!isFailure(this.resolve(ref)) || !this.mayLag(ref)) run(undefined);
    else this.#lookAtMap((isSeen) => run(isSeen ? undefined : noMapLeader));
  }

  /** Why a space is no longer there; undefined while it is: what was there once is gone for good. */
  dropped(id: SpaceId): Failure | undefined {
    if (this.#map.spaceById(id) !== undefined) return undefined;
    return { reason: 'SPACE_NOT_FOUND', message: `space ${id} was dropped` };
  }

  /** Calls `run` after changes of the map. */
  onChange(run: () => void): Cancel {
    // One object for each call, so that one function may be there twice.
    const observer = (): void => run();
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /** The map has changed; called by the router. */
  changed(): void {
    for (const observer of [...this.#observers]) observer();
  }

  #prepared(record: SpaceRecord): RoutedSpace {
    const known = this.#routed.get(record.id);
    if (known !== undefined) return known;
    // Dropped spaces leave theirs behind; ids are not reused, so it only has to be bounded.
    if (this.#routed.size > routedSpacesMax) this.#routed.clear();
    const routed = new RoutedSpace(record, this.#map.partitions, this.#lasting);
    this.#routed.set(record.id, routed);
    return routed;
  }
}

/** Prepared spaces that are kept; a few kilobytes each, made again on demand. */
const routedSpacesMax = 4_096;

function staleMap(asked: number, present: number): Failure {
  return {
    reason: 'STALE_MAP',
    field: 'space.map_epoch',
    message: `the call was routed by epoch ${asked} of the map, which is at ${present}`,
  };
}

/** A codec's problem with an argument, as the caller's failure. */
export function refusedArgument(problem: Problem, field: string): Failure {
  const at = problem.field === '' ? field : `${field}.${problem.field}`;
  return invalid(problem.reason, at, problem.message, problem.limit);
}
