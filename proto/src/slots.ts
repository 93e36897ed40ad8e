import type { Run } from './bytes.ts';
import { compareBytes, equalBytes } from './bytes.ts';
import type { FieldOffsets } from './fields.ts';
import { hash32, hashModulo } from './hash.ts';
import { KEY_END, keyOf, keyOfStored, writeFieldKey, writeKey } from './key.ts';
import { limits } from './limits.ts';
import type { Problem } from './problem.ts';
import { fixedValue } from './shape.ts';
import type { CompiledMatcher, CompiledPattern, Template } from './template.ts';
import type { Value } from './value.ts';
import { Writer } from './wire.ts';

/** Spreads the tuples of one tag over several slots (SPEC §6). */
export interface RoutingRule {
  /** The tag, a tuple's first field. */
  readonly tag: Value;
  /** Over how many buckets: 2 to 4,096. Different buckets may share a slot. */
  readonly spread: number;
  /** The other fields, from 1 (0 is the tag), whose keys are hashed, in this order: 1 to 8. */
  readonly fields: readonly number[];
}

interface CompiledRule {
  readonly key: Uint8Array;
  readonly spread: number;
  readonly fields: readonly number[];
}

/** Where a template can match: in one slot for sure, in some, or anywhere. */
export type SlotsOfTemplate =
  | { readonly kind: 'pinned'; readonly slot: number }
  | { readonly kind: 'slots'; readonly slots: readonly number[] }
  | { readonly kind: 'all' };

const ALL: SlotsOfTemplate = { kind: 'all' };

/** Key of the routing name, key of the tag, bucket: what a slot is the hash of. */
const slotInput = new Writer(1_024);
const bucketInput = new Writer(1_024);

/**
 * How a space sends tuples to slots: slot = H(key(routing name) ‖ key(tag) ‖ b as two bytes,
 * big-endian) mod 4,096, with b = H(keys of the rule's fields, a missing one as a 0) mod spread, and
 * b = 0 for a tag without a rule.
 */
export class Routing {
  readonly #name: Uint8Array;
  /** By the low bits of the hash of the tag's key. */
  readonly #rules = new Map<number, readonly CompiledRule[]>();

  /** The rules passed `checkRouting`. */
  constructor(routingName: string, rules: readonly RoutingRule[]) {
    this.#name = keyOf(routingName);
    for (const { tag, spread, fields } of rules) {
      const key = keyOf(tag);
      const hash = hash32(key);
      this.#rules.set(hash, [...(this.#rules.get(hash) ?? []), { key, spread, fields }]);
    }
  }

  /** The slot of a canonical tuple. */
  slotOfTuple(tuple: Uint8Array, offsets: FieldOffsets): number {
    this.#begin();
    const tagStart = slotInput.position;
    writeFieldKey(slotInput, tuple, offsets, 0);
    const rule = this.#rule(tagStart);
    return finishSlot(rule === undefined ? 0 : bucketOfTuple(rule, tuple, offsets));
  }

  /** Where a template can match. Not, range, prefix and formal kinds never pin. */
  slotsOfTemplate(template: Template): SlotsOfTemplate {
    const slots = new Set<number>();
    let isFixed = true;
    for (const pattern of template.alternatives) {
      const tags = tagsOf(pattern.matchers[0]);
      if (tags === null) return ALL;
      for (const tag of tags) if (!this.#addSlots(pattern, tag, slots)) isFixed = false;
    }
    const sorted = [...slots].sort((a, b) => a - b);
    const [slot] = sorted;
    if (isFixed && slot !== undefined && sorted.length === 1) return { kind: 'pinned', slot };
    return { kind: 'slots', slots: sorted };
  }

  /** Adds where one alternative matches tuples of one tag; returns whether that is one bucket. */
  #addSlots(pattern: CompiledPattern, tagKey: Uint8Array, slots: Set<number>): boolean {
    this.#begin();
    const tagStart = slotInput.position;
    slotInput.raw(tagKey);
    const rule = this.#rule(tagStart);
    const end = slotInput.position;
    const bucket = rule === undefined ? 0 : bucketOfPattern(rule, pattern);
    if (bucket !== null) {
      slots.add(finishSlot(bucket));
      return true;
    }
    for (let each = 0; each < (rule?.spread ?? 0); each += 1) {
      slotInput.position = end;
      slots.add(finishSlot(each));
    }
    return false;
  }

  #begin(): void {
    slotInput.reset();
    slotInput.raw(this.#name);
  }

  /** The rule of the tag whose key was written from `start` on. */
  #rule(start: number): CompiledRule | undefined {
    if (this.#rules.size === 0) return undefined;
    const { bytes, position: end } = slotInput;
    const rules = this.#rules.get(hash32(bytes, start, end));
    return rules?.find((rule) => equalBytes(rule.key, 0, rule.key.length, bytes, start, end));
  }
}

function finishSlot(bucket: number): number {
  slotInput.byte(bucket >> 8);
  slotInput.byte(bucket);
  return hashModulo(slotInput.bytes, 0, slotInput.position, limits.slotCount);
}

function bucketOfTuple(rule: CompiledRule, tuple: Uint8Array, offsets: FieldOffsets): number {
  bucketInput.reset();
  for (const field of rule.fields) writeFieldKey(bucketInput, tuple, offsets, field);
  return hashModulo(bucketInput.bytes, 0, bucketInput.position, rule.spread);
}

/**
 * The bucket of all tuples that an alternative matches, or null where it leaves a hashed field open.
 * A pattern without rest fixes the fields behind its end too: they are missing.
 */
function bucketOfPattern(rule: CompiledRule, pattern: CompiledPattern): number | null {
  bucketInput.reset();
  for (const field of rule.fields) {
    const fixed = fixedValue(pattern.matchers[field]);
    if (fixed !== null) writeKey(bucketInput, fixed.bytes, fixed.start, fixed.end);
    else if (field >= pattern.matchers.length && !pattern.rest) bucketInput.byte(KEY_END);
    else return null;
  }
  return hashModulo(bucketInput.bytes, 0, bucketInput.position, rule.spread);
}

/** The keys of the tags that a matcher names; null: it names none. */
function tagsOf(matcher: CompiledMatcher | undefined): readonly Uint8Array[] | null {
  if (matcher?.kind === 'any-of') return matcher.keys;
  const fixed: Run | null = fixedValue(matcher);
  return fixed === null ? null : [keyOfStored(fixed.bytes, fixed.start, fixed.end)];
}

/** What is wrong with a space's routing rules, or null. Says which rule, from 0. */
export function checkRouting(rules: readonly RoutingRule[]): Problem | null {
  const keys: Uint8Array[] = [];
  for (const [index, rule] of rules.entries()) {
    const message = ruleProblem(rule);
    if (message !== null) return { reason: 'ROUTING_RULE', field: `rules[${index}]`, message };
    keys.push(keyOf(rule.tag));
  }
  keys.sort((a, b) => compareBytes(a, 0, a.length, b, 0, b.length));
  for (let i = 1; i < keys.length; i += 1) {
    const a = keys[i - 1] as Uint8Array;
    const b = keys[i] as Uint8Array;
    if (equalBytes(a, 0, a.length, b, 0, b.length)) {
      return { reason: 'ROUTING_RULE', field: 'rules', message: 'two rules for equal tags' };
    }
  }
  return null;
}

function ruleProblem({ spread, fields }: RoutingRule): string | null {
  const { spreadMin, spreadMax, spreadFieldsMax, arityMax } = limits;
  if (!Number.isInteger(spread) || spread < spreadMin || spread > spreadMax) {
    return `spread is ${spread}, limit ${spreadMin} to ${spreadMax}`;
  }
  if (fields.length < 1 || fields.length > spreadFieldsMax) {
    return `${fields.length} fields, limit 1 to ${spreadFieldsMax}`;
  }
  if (new Set(fields).size !== fields.length) return 'a field comes twice';
  const isPosition = (field: number) => Number.isInteger(field) && field >= 1 && field < arityMax;
  return fields.every(isPosition) ? null : `a field is outside 1 to ${arityMax - 1}`;
}

/** The partition of a slot: equal blocks of slots, in order. Fixed when a cluster is founded. */
export function partitionOfSlot(slot: number, partitionCount: number): number {
  return Math.floor((slot * partitionCount) / limits.slotCount);
}

/** Ids of a partition are its number times this and a counter. */
const countersPerPartition = 2 ** 44;

/** The partition, from 1, that the id of a tuple or of a session names; 0: none. */
export function partitionOfId(id: number): number {
  return Math.floor(id / countersPerPartition);
}
